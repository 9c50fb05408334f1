"""A key is kept as a hash only, and no spelling of a path leads round its galleries."""

import pytest

from tests.support.commands import contents, id_of, ran, secret_of
from tests.support.server import Server
from tests.support.wire import Wire


def test_a_key_is_printed_once_and_its_secret_is_in_no_file(guarded: Server, keys: dict[str, str]) -> None:
    listed = ran(guarded.data_dir, "keys", "list") + ran(guarded.data_dir, "keys", "list", "--json")
    kept = b"".join(contents(guarded.data_dir).values()) + guarded.log.read_bytes() + listed.encode()
    for key in keys.values():
        assert id_of(key).encode() in kept
        assert len(secret_of(key)) >= 40
        assert secret_of(key).encode() not in kept


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
