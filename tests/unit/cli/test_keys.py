"""`likeness keys` shows a key once, lists it without its secret, and revokes it permanently."""

import json
import re
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.access.api_keys import KeyStore
from app.audit.log import AuditLog
from app.domain.clock import format_time
from app.domain.errors import Unauthorized
from app.domain.identity import Caller, Scope
from app.storage.migrate import open_migrated
from tests.unit.cli.conftest import Command


def document(likeness: Command, *arguments: object) -> dict[str, Any]:
    done = likeness("keys", *arguments, "--json")
    assert done.exit_code == 0, done.output
    return dict(json.loads(done.stdout))


def caller(likeness: Command, text: str) -> Caller:
    """Return the caller that a service on the same data authenticates."""
    with closing(open_migrated(likeness.data / "gallery.sqlite3")) as database:
        return KeyStore(database).authenticate(text)


def test_create_prints_only_the_key_which_has_the_requested_rights(likeness: Command) -> None:
    done = likeness("keys", "create", "--scopes", "verify, enroll,verify", "--galleries", "a/b,staff", "--rate", 5)
    text = done.stdout.strip()
    made = caller(likeness, text)
    assert done.exit_code == 0
    assert re.fullmatch(r"lk_[0-9a-f]{12}_[\w-]{43}", text)
    assert made.scopes == {Scope.VERIFY, Scope.ENROLL}
    assert made.galleries == frozenset({"a/b", "staff"})
    assert (made.rate, made.concurrent) == (5, None)


def test_json_of_a_new_key_has_all_its_properties(likeness: Command) -> None:
    made = document(
        likeness, "create", "--scopes", "admin", "--expires", "90d", "--name", ":key: [b]Ada", "--concurrent", 0
    )
    days = [format_time(datetime.now(UTC) + timedelta(days=days)) for days in (89.9, 90)]
    assert caller(likeness, made.pop("key")).name == f"key:{made['id']}"
    assert days[0] < made.pop("expires_at") <= days[1]
    assert made.pop("created_at") <= format_time(datetime.now(UTC))
    assert made == {
        "id": made["id"],
        "name": ":key: [b]Ada",
        "scopes": ["admin"],
        "galleries": None,
        "rate": None,
        "concurrent": 0,
        "revoked_at": None,
        "valid": True,
    }


def test_list_has_all_keys_without_secrets(likeness: Command) -> None:
    made = [document(likeness, "create", "--scopes", "verify", "--name", name) for name in ("[i]one", ":key:", "three")]
    document(likeness, "revoke", made[1]["id"])
    listed = document(likeness, "list")["keys"]
    head, *lines = likeness("keys", "list").stdout.splitlines()
    assert head.split() == ["ID", "STATE", "SCOPES", "GALLERIES", "EXPIRES", "NAME"]
    assert [(each["id"], each["name"], each["valid"]) for each in listed] == [
        (made[0]["id"], "[i]one", True),
        (made[1]["id"], ":key:", False),
        (made[2]["id"], "three", True),
    ]
    assert [line.split()[:3] for line in lines] == [
        [made[0]["id"], "valid", "verify"],
        [made[1]["id"], "revoked", "verify"],
        [made[2]["id"], "valid", "verify"],
    ]
    assert [line.split()[-1] for line in lines] == ["[i]one", ":key:", "three"]
    assert not [each for each in made if each["key"].split("_", 2)[2] in str(listed) + str(lines)]


@pytest.mark.parametrize("by", ["id", "key"])
def test_revoke_accepts_the_id_or_the_key_and_is_audited_with_the_user(
    likeness: Command, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "ada")
    made = document(likeness, "create", "--scopes", "verify")
    done = likeness("keys", "revoke", made[by])
    with closing(open_migrated(likeness.data / "gallery.sqlite3")) as database:
        entries = AuditLog(database).entries()
    assert (done.exit_code, done.stdout) == (0, f"{made['id']} is revoked\n")
    with pytest.raises(Unauthorized):
        caller(likeness, made["key"])
    assert [(each["by"], each["action"], each["key"]) for each in entries if "key" in each] == [
        ("cli:ada", "key.create", made["id"]),
        ("cli:ada", "key.revoke", made["id"]),
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--scopes", "verify,everything"],
            "expected scopes out of verify, identify, embed, enroll, erase, export, metrics, admin, got verify,ev",
        ),
        (["--scopes", " , "], "expected scopes separated by commas"),
        (["--scopes", "verify", "--galleries", ""], "expected galleries separated by commas"),
        (["--scopes", "verify", "--expires", "soon"], "expected a duration such as 30s"),
        (["--scopes", "verify", "--expires", "999999w"], "expected at most 100 years"),
        (["--scopes", "verify", "--rate", "-1"], "greater than or equal to 0"),
        ([], "--scopes"),
    ],
)
def test_invalid_options_are_refused_and_no_key_is_created(
    likeness: Command, arguments: list[str], message: str
) -> None:
    document(likeness, "create", "--scopes", "verify")
    done = likeness("keys", "create", *arguments)
    assert done.exit_code == 2
    assert message in done.stderr
    assert len(document(likeness, "list")["keys"]) == 1


@pytest.mark.parametrize("arguments", [["list"], ["revoke", "0123456789ab"]])
def test_missing_database_is_an_error_and_is_not_created(likeness: Command, arguments: list[str]) -> None:
    done = likeness("keys", *arguments)
    assert done.exit_code == 2
    assert f"no gallery in {likeness.data}" in done.stderr
    assert not likeness.data.exists()


def test_unknown_key_is_not_found(likeness: Command) -> None:
    document(likeness, "create", "--scopes", "verify")
    done = likeness("keys", "revoke", "nobody", "--json")
    assert (done.exit_code, json.loads(done.stdout)["code"]) == (2, "not_found")
