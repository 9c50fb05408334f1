"""What a caller may: its scopes and its galleries, and nothing else."""

import pytest

from app.domain.errors import Forbidden
from app.domain.identity import Caller, Scope, anonymous


def caller(*scopes: Scope, galleries: frozenset[str] | None = None) -> Caller:
    return Caller("key:1", frozenset(scopes), galleries)


@pytest.mark.parametrize("wanted", Scope)
@pytest.mark.parametrize("given", [scope for scope in Scope if scope is not Scope.ADMIN])
def test_a_scope_allows_itself_and_no_other(given: Scope, wanted: Scope) -> None:
    allowed = _allows(caller(given), wanted)

    assert allowed == (given is wanted)


@pytest.mark.parametrize("wanted", Scope)
def test_admin_allows_everything_and_nothing_allows_nothing(wanted: Scope) -> None:
    assert _allows(caller(Scope.ADMIN), wanted)
    assert _allows(anonymous("address:::1"), wanted)
    assert not _allows(caller(), wanted)


def test_a_refusal_names_the_scope_that_is_missing() -> None:
    with pytest.raises(Forbidden, match="scope 'enroll'"):
        caller(Scope.VERIFY).require(Scope.ENROLL)


def test_a_caller_of_some_galleries_may_use_those_by_their_whole_name() -> None:
    some = caller(Scope.ADMIN, galleries=frozenset({"staff", "a/b"}))

    assert [name for name in ("staff", "a/b", "Staff", "staff ", "a", "", "guests") if some.may_use(name)] == [
        "staff",
        "a/b",
    ]
    some.require_gallery("staff")
    with pytest.raises(Forbidden, match="not for the gallery 'guests'"):
        some.require_gallery("guests")


def test_a_caller_of_no_gallery_may_use_none_and_one_without_a_list_any() -> None:
    assert not caller(Scope.ADMIN, galleries=frozenset()).may_use("staff")
    assert caller(Scope.VERIFY).may_use("whatever there may ever be")


def test_only_a_caller_without_a_list_sees_all_galleries() -> None:
    caller(Scope.METRICS).require_all_galleries()
    for galleries in (frozenset[str](), frozenset({"staff"})):
        with pytest.raises(Forbidden, match="not limited to some galleries"):
            caller(Scope.METRICS, galleries=galleries).require_all_galleries()


def _allows(who: Caller, wanted: Scope) -> bool:
    try:
        who.require(wanted)
    except Forbidden:
        return False
    return True
