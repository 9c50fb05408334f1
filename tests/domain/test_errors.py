import inspect
import re

import pytest

from app.domain import errors
from app.domain.errors import InputError, InvalidRequest, LikenessError, LowQuality, MultipleFaces, ServiceError
from tests.support.templates import FACE

ALL = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, LikenessError)]
CODED = [kind for kind in ALL if "code" in vars(kind)]


def drawn() -> dict[str, str]:
    """Every error of the tree in the module's docstring, and the one that it hangs from."""
    parents: dict[int, str] = {}
    tree: dict[str, str] = {}
    for indent, name in re.findall(r"^( *)[*+-] (\w+)", errors.__doc__ or "", re.MULTILINE):
        depth = len(indent)
        tree[name] = next((parents[above] for above in range(depth - 1, -1, -1) if above in parents), "Exception")
        parents = {above: parent for above, parent in parents.items() if above < depth} | {depth: name}
    return tree


def test_the_tree_that_is_drawn_is_the_tree_there_is() -> None:
    assert drawn() == {kind.__name__: kind.__base__.__name__ for kind in ALL}


@pytest.mark.parametrize("kind", [kind for kind in CODED if issubclass(kind, InputError) and kind is not InputError])
def test_every_fault_of_the_request_that_has_a_code_has_it_alone(kind: type[LikenessError]) -> None:
    assert [other for other in CODED if other.code == kind.code and other is not InputError] == [kind]
    assert re.fullmatch("[a-z_]+", kind.code)


@pytest.mark.parametrize("kind", ALL)
def test_an_error_is_either_the_requests_fault_or_ours(kind: type[LikenessError]) -> None:
    assert not (issubclass(kind, InputError) and issubclass(kind, ServiceError))
    assert kind.image is None


def test_what_carries_no_code_of_its_own_reveals_nothing() -> None:
    assert {kind.code for kind in (LikenessError, ServiceError, errors.InferenceFailed, errors.StartError)} == {
        "internal_error"
    }


def test_the_image_that_one_error_is_about_is_not_that_of_another() -> None:
    first, second = errors.InvalidImage("broken"), errors.InvalidImage("broken")
    first.image = "image1"

    assert second.image is None


def test_several_faces_come_with_the_faces() -> None:
    error = MultipleFaces([FACE, FACE, FACE])

    assert error.faces == (FACE, FACE, FACE)
    assert str(error) == "want one face, found 3"


def test_a_low_quality_comes_with_its_reasons() -> None:
    error = LowQuality(["too small", "too blurred"])

    assert error.reasons == ("too small", "too blurred")
    assert str(error) == "too small; too blurred"


def test_a_bad_request_names_each_field() -> None:
    error = InvalidRequest("two fields contradict each other", [("fmr", "want one of fmr and threshold")])

    assert error.errors == (("fmr", "want one of fmr and threshold"),)
    assert str(error) == "two fields contradict each other"
    assert InvalidRequest("of no field").errors == ()
