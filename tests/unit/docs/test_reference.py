"""The pages of docs/reference are those that the code makes now."""

import pytest

from tests.support import reference


@pytest.mark.parametrize(("name", "page"), reference.pages().items(), ids=lambda each: each if "\n" not in each else "")
def test_the_page_is_what_the_code_makes(name: str, page: str) -> None:
    written = (reference.REFERENCE / name).read_text(encoding="utf-8")
    assert written == page, "run `python -m tests.support.reference`"
