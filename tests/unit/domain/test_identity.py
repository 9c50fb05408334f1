"""A caller has the rights of its scopes and galleries, and no others."""

import pytest

from app.domain.errors import Forbidden
from app.domain.identity import Caller, Scope, anonymous


def caller(*scopes: Scope, galleries: frozenset[str] | None = None) -> Caller:
    return Caller("key:1", frozenset(scopes), galleries)


def allows(who: Caller, scope: Scope) -> bool:
    try:
        who.require(scope)
    except Forbidden:
        return False
    return True


@pytest.mark.parametrize("given", Scope)
def test_scope_allows_itself_and_no_other_and_admin_every_one(given: Scope) -> None:
    allowed = {required for required in Scope if allows(caller(given), required)}
    assert allowed == (set(Scope) if given is Scope.ADMIN else {given})


def test_an_anonymous_caller_has_every_scope_and_a_caller_without_scopes_has_none() -> None:
    assert all(allows(anonymous("address:::1"), required) for required in Scope)
    assert not any(allows(caller(), required) for required in Scope)


def test_refusal_names_the_missing_scope() -> None:
    with pytest.raises(Forbidden, match="expected a key with the scope 'enroll'"):
        caller(Scope.VERIFY).require(Scope.ENROLL)


def test_caller_may_use_exactly_the_listed_galleries() -> None:
    some = caller(Scope.ADMIN, galleries=frozenset({"staff", "a/b"}))
    names = ("staff", "a/b", "Staff", "staff ", "a", "", "guests")
    assert [name for name in names if some.may_use(name)] == ["staff", "a/b"]
    some.require_gallery("staff")
    with pytest.raises(Forbidden, match="no access to the gallery 'guests'"):
        some.require_gallery("guests")


def test_empty_list_of_galleries_allows_none_and_no_list_allows_all() -> None:
    assert not caller(Scope.ADMIN, galleries=frozenset()).may_use("staff")
    assert caller(Scope.VERIFY).may_use("any gallery")


def test_only_a_caller_without_a_list_has_access_to_all_galleries() -> None:
    caller(Scope.METRICS).require_all_galleries()
    for galleries in (frozenset[str](), frozenset({"staff"})):
        with pytest.raises(Forbidden, match="limited to some"):
            caller(Scope.METRICS, galleries=galleries).require_all_galleries()
