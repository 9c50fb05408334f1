"""Keys: shown once, kept as a hash only, and followed by a running server at once."""

import json

import httpx2
import pytest

from .contract import answered, problem
from .operating import contents, eventually, id_of, new_key, ran, refused, run


def asked(server, *headers, path="/models"):
    return httpx2.get(f"{server.url}{path}", headers=list(headers), timeout=20)


def unauthorized(response):
    problem(response, 401, "unauthorized")
    assert response.headers["www-authenticate"].startswith("Bearer")


def test_a_key_is_printed_once_and_lies_nowhere(guarded, keys):
    listed = ran(guarded.data_dir, "keys", "list") + ran(guarded.data_dir, "keys", "list", "--json")
    kept = b"".join(contents(guarded.data_dir).values()) + guarded.log.read_bytes() + listed.encode()
    for key in keys.values():
        secret = key.split("_", 2)[2]
        assert id_of(key).encode() in kept
        assert len(secret) >= 40
        assert secret.encode() not in kept


def test_a_list_says_what_each_key_may_do(guarded, keys):
    listed = {key["id"]: key for key in json.loads(ran(guarded.data_dir, "keys", "list", "--json"))["keys"]}
    limited = listed[id_of(keys["limited"])]
    assert limited["scopes"] == ["admin"]
    assert limited["galleries"] == ["mine", "ours"]
    assert limited["valid"] is True
    assert listed[id_of(keys["verify"])]["galleries"] is None


def test_a_key_is_taken_as_bearer_and_as_x_api_key(guarded, keys):
    key = keys["verify"]
    accepted = [("Authorization", f"Bearer {key}")], [("authorization", f"bearer {key}")], [("X-API-Key", key)]
    assert [asked(guarded, *headers).status_code for headers in accepted] == [200, 200, 200]


MALFORMED = {
    "nothing": "",
    "no key": "please",
    "no secret": "lk_{id}_",
    "an id only": "lk_{id}",
    "an unknown id": "lk_000000000000_{secret}",
    "another key's id": "lk_{other}_{secret}",
    "a letter more": "{key}a",
    "a letter less": "{short}",
    "upper case": "{upper}",
    "SQL": "lk_' OR 1=1 --_{secret}",
    "accents": "lk_é_ü",
    "12,000 letters": "lk_" + 6000 * "a" + "_" + 6000 * "b",
    "a pattern": "lk_%_%",
}


@pytest.mark.parametrize("given", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_key_is_refused(guarded, keys, given):
    key, secret = keys["admin"], keys["admin"].split("_", 2)[2]
    words = {"key": key, "short": key[:-1], "upper": key.upper(), "id": id_of(key), "secret": secret}
    text = given.format(**words, other=id_of(keys["verify"])).encode()
    unauthorized(asked(guarded, (b"X-API-Key", text)))
    unauthorized(asked(guarded, (b"Authorization", (b"Bearer " + text).strip())))


@pytest.mark.parametrize("scheme", ["Basic {}", "{}", "Token {}", "Bearer", "Bearer {} {}"])
def test_another_way_to_give_a_key_is_refused(guarded, keys, scheme):
    unauthorized(asked(guarded, ("Authorization", scheme.format(keys["admin"], keys["admin"]))))


def test_a_key_in_the_query_is_not_a_key(guarded, keys):
    unauthorized(httpx2.get(f"{guarded.url}/models", params={"api_key": keys["admin"], "key": keys["admin"]}))


def test_two_keys_that_differ_are_refused_in_either_order(guarded, keys):
    both, bearer = [keys["admin"], keys["verify"]], "Bearer {}".format
    for one, other in (both, both[::-1], [keys["admin"], "lk_0_0"]):
        unauthorized(asked(guarded, ("Authorization", bearer(one)), ("X-API-Key", other)))
        unauthorized(asked(guarded, ("X-API-Key", one), ("X-API-Key", other)))
        unauthorized(asked(guarded, ("Authorization", bearer(one)), ("Authorization", bearer(other))))
    assert asked(guarded, ("Authorization", bearer(keys["admin"])), ("X-API-Key", keys["admin"])).status_code == 200


def test_without_a_key_unknown_paths_look_like_known_ones(guarded, keys):
    paths = [
        "/nothing",
        "/",
        "/v1",
        "//models",
        "/v1/v1/models",
        "/galleries/none/subjects/none/faces/none",
        "/%6detrics",
    ]
    for path in paths:
        unauthorized(asked(guarded, path=path))
    problem(asked(guarded, ("X-API-Key", keys["verify"]), path="/nothing"), 404, "not_found")


def test_a_revoked_key_ends_at_once_on_a_running_server(guarded):
    key = new_key(guarded.data_dir, "--scopes", "verify")
    answered(asked(guarded, ("X-API-Key", key)))
    ran(guarded.data_dir, "keys", "revoke", id_of(key))
    unauthorized(asked(guarded, ("X-API-Key", key)))


def test_an_expired_key_ends_on_a_running_server(guarded):
    key = new_key(guarded.data_dir, "--scopes", "verify", "--expires", "4s")
    answered(asked(guarded, ("X-API-Key", key)))
    assert eventually(lambda: asked(guarded, ("X-API-Key", key)).status_code == 401)


BAD_OPTIONS = [
    ["--scopes", "verify,root"],
    ["--scopes", "verify", "--expires", "0d"],
    ["--scopes", "verify", "--galleries", ""],
]


@pytest.mark.parametrize("options", BAD_OPTIONS, ids=" ".join)
def test_a_key_that_would_mean_something_else_is_not_made(tmp_path, options):
    refused(tmp_path / "data", "keys", "create", *options)


def test_an_unknown_key_cannot_be_revoked(guarded):
    assert run(guarded.data_dir, "keys", "revoke", "000000000000").returncode == 2
