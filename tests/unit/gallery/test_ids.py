"""Ids are the caller's own, within reason, whoever the caller is."""

import pytest

from app.domain.errors import InvalidRequest
from app.gallery.repository import GalleryRepository
from tests.support.templates import template, unit

pytestmark = pytest.mark.any_database

WRONG = ["", "x" * 129, "two\nlines", "nul\x00"]
RIGHT = ["x" * 128, "a/b", "..", "Ødegård, Å.", "名前", " "]


@pytest.mark.parametrize("wrong", WRONG)
def test_an_id_that_no_route_could_name_is_refused(repository: GalleryRepository, wrong: str) -> None:
    with pytest.raises(InvalidRequest, match="1 to 128 characters"):
        repository.enroll("guests", wrong, [template("1", wrong, unit(1))])
    with pytest.raises(InvalidRequest, match="1 to 128 characters"):
        repository.create_gallery(wrong)
    assert repository.galleries() == []


@pytest.mark.parametrize("right", RIGHT)
def test_any_other_text_is_an_id(repository: GalleryRepository, right: str) -> None:
    repository.put_subject(right, right, {})
    assert repository.subject(right, right).subject_id == right
