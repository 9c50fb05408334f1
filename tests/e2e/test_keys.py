"""Keys made by the command: shown once, kept as a hash only, and followed by a running server at once."""

import json
from pathlib import Path

import httpx2
import pytest

from tests.support.answers import answered, problem
from tests.support.commands import contents, eventually, id_of, new_keys, ran, refused, run, secret_of
from tests.support.server import Server
from tests.support.wire import Wire


def models(server: Server, key: str) -> httpx2.Response:
    return httpx2.get(f"{server.url}/models", headers={"X-API-Key": key}, timeout=20)


def test_a_key_is_printed_once_and_its_secret_is_in_no_file(guarded: Server, keys: dict[str, str]) -> None:
    listed = ran(guarded.data_dir, "keys", "list") + ran(guarded.data_dir, "keys", "list", "--json")
    kept = b"".join(contents(guarded.data_dir).values()) + guarded.log.read_bytes() + listed.encode()
    for key in keys.values():
        assert id_of(key).encode() in kept
        assert len(secret_of(key)) >= 40
        assert secret_of(key).encode() not in kept


def test_a_list_shows_what_each_key_may_do(guarded: Server, keys: dict[str, str]) -> None:
    listed = {key["id"]: key for key in json.loads(ran(guarded.data_dir, "keys", "list", "--json"))["keys"]}
    limited = listed[id_of(keys["limited"])]
    assert limited["scopes"] == ["admin"]
    assert limited["galleries"] == ["mine", "ours"]
    assert limited["valid"] is True
    assert listed[id_of(keys["verify"])]["galleries"] is None


def test_a_key_revoked_or_expired_ends_on_a_running_server(guarded: Server) -> None:
    expiring = ["--scopes", "verify", "--expires", "4s"]
    revoked, expired = new_keys(guarded.data_dir, ["--scopes", "verify"], expiring)
    answered(models(guarded, expired))
    answered(models(guarded, revoked))
    ran(guarded.data_dir, "keys", "revoke", id_of(revoked))
    problem(models(guarded, revoked), 401, "unauthorized")
    assert eventually(lambda: models(guarded, expired).status_code == 401)


@pytest.mark.parametrize("options", [["verify,root"], ["verify", "--galleries", ""]], ids=" ".join)
def test_a_key_that_would_mean_something_else_is_not_made(tmp_path: Path, options: list[str]) -> None:
    refused(tmp_path / "data", "keys", "create", "--scopes", *options)


def test_an_unknown_key_cannot_be_revoked(guarded: Server) -> None:
    assert run(guarded.data_dir, "keys", "revoke", "000000000000").returncode == 2


SPELLINGS = [
    "/galleries/%74heirs",
    "/galleries/mine%2f..%2ftheirs",
    "/galleries/mine/../theirs",
    "/galleries/./theirs",
    "//galleries/theirs",
    "/galleries//theirs",
    "/GALLERIES/theirs",
    "/galleries/Mine",
    "/galleries/mine%00",
    "/galleries/mine%20",
    "/galleries/theirs;mine",
    "/galleries/theirs?gallery=mine",
    "/galleries/theirs/",
    "/galleries/%2e%2e/galleries/theirs",
    "http://localhost/galleries/theirs",
]


@pytest.mark.parametrize("path", SPELLINGS)
def test_no_spelling_of_the_path_leads_to_another_gallery(guarded: Server, keys: dict[str, str], path: str) -> None:
    with Wire(guarded) as wire:
        wire.head("GET", path, 0, X_API_Key=keys["limited"], Connection="close")
        assert wire.status() in {403, 404}
