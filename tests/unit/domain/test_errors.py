"""The tree of errors is the documented one, and each error carries what its response needs."""

import inspect
import re

from app.domain import errors
from app.domain.errors import InputError, InvalidRequest, LikenessError, LowQuality, MultipleFaces, ServiceError
from tests.support.templates import FACE

ALL = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, LikenessError)]
CODED = [kind for kind in ALL if "code" in vars(kind)]


def documented_tree() -> dict[str, str]:
    """Return the parent of every error in the docstring of the module."""
    parents: dict[int, str] = {}
    tree: dict[str, str] = {}
    for indent, name in re.findall(r"^( *)[*+-] (\w+)", errors.__doc__ or "", re.MULTILINE):
        depth = len(indent)
        tree[name] = next((parents[above] for above in range(depth - 1, -1, -1) if above in parents), "Exception")
        parents = {above: parent for above, parent in parents.items() if above < depth} | {depth: name}
    return tree


def test_documented_tree_is_the_class_hierarchy() -> None:
    assert documented_tree() == {kind.__name__: kind.__mro__[1].__name__ for kind in ALL}


def test_code_of_an_input_error_is_unique() -> None:
    codes = [kind.code for kind in CODED if kind is not InputError]
    assert [kind for kind in CODED if issubclass(kind, InputError) and codes.count(kind.code) > 1] == []
    assert [code for code in codes if not re.fullmatch("[a-z_]+", code)] == []


def test_no_error_is_both_an_input_error_and_a_service_error_and_none_has_an_image() -> None:
    assert [kind for kind in ALL if issubclass(kind, InputError) and issubclass(kind, ServiceError)] == []
    assert {kind.image for kind in ALL} == {None}


def test_errors_without_a_code_of_their_own_are_internal() -> None:
    internal = (LikenessError, ServiceError, errors.InferenceFailed, errors.StartError)
    assert {kind.code for kind in internal} == {"internal_error"}


def test_image_is_set_on_the_instance_only() -> None:
    first, second = errors.InvalidImage("broken"), errors.InvalidImage("broken")
    first.image = "image1"
    assert second.image is None


def test_errors_carry_faces_reasons_and_fields() -> None:
    several, poor = MultipleFaces([FACE, FACE, FACE]), LowQuality(["too small", "too blurred"])
    invalid = InvalidRequest("two fields contradict each other", [("fmr", "expected fmr or threshold")])
    assert (several.faces, str(several)) == ((FACE, FACE, FACE), "expected one face, got 3")
    assert (poor.reasons, str(poor)) == (("too small", "too blurred"), "too small; too blurred")
    assert invalid.errors == (("fmr", "expected fmr or threshold"),)
    assert str(invalid) == "two fields contradict each other"
    assert InvalidRequest("no field").errors == ()
