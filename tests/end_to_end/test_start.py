"""Who may reach a service decides whether it starts without keys."""

import pytest

from .operating import eventually, new_keys
from .server import Server
from .wire import Wire

EVERYWHERE = "0.0.0.0"  # noqa: S104 - to see that it is refused
LEVEL = '"level": "warning"'


def refusal(server):
    """The words of a start that must fail, and that nobody ever listened."""
    status, words = server.fail_to_start()
    assert status == 2
    with pytest.raises(ConnectionRefusedError):
        Wire(server)
    return words.strip()


@pytest.fixture(scope="module")
def with_keys(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("keys")
    return data_dir, *new_keys(data_dir, ["--scopes", "verify"])


def get(server, path, **headers):
    with Wire(server) as wire:
        return wire.head("GET", path, 0, Connection="close", **headers).status()


EXPOSED = [
    {"LIKENESS_HOST": EVERYWHERE},
    {"LIKENESS_HOST": EVERYWHERE, "LIKENESS_PUBLISHED_ON": EVERYWHERE},
    {"LIKENESS_PUBLISHED_ON": "192.0.2.1"},
]


@pytest.mark.parametrize("settings", EXPOSED)
def test_without_a_key_another_address_is_refused_in_one_sentence_that_helps(tmp_path, settings):
    words = refusal(Server(tmp_path / "data", **settings))
    assert len(words.splitlines()) == 1
    assert "likeness keys create" in words
    assert "LIKENESS_AUTH=off" in words


def test_with_a_key_another_address_is_served_to_its_holder(with_keys):
    data_dir, key = with_keys
    with Server(data_dir, LIKENESS_HOST=EVERYWHERE) as server:
        assert get(server, "/models") == 401
        assert get(server, "/models", X_API_Key=key) == 200


def test_a_container_published_on_loopback_needs_no_key(tmp_path):
    with Server(tmp_path / "data", LIKENESS_HOST=EVERYWHERE, LIKENESS_PUBLISHED_ON="127.0.0.1") as server:
        assert get(server, "/models") == 200


def test_auth_off_lets_everybody_in_and_warns(with_keys):
    with Server(with_keys[0], LIKENESS_AUTH="off", LIKENESS_HOST=EVERYWHERE) as server:
        assert get(server, "/models") == 200
        assert [line for line in server.log.read_text().splitlines() if LEVEL in line and "LIKENESS_AUTH" in line]


def test_auth_off_warns_on_loopback_too_where_there_are_keys(with_keys):
    with Server(with_keys[0], LIKENESS_AUTH="off") as server:
        assert [line for line in server.log.read_text().splitlines() if LEVEL in line and "LIKENESS_AUTH" in line]


def test_the_first_key_closes_the_door_of_a_running_server(tmp_path):
    with Server(tmp_path / "data") as server:
        assert get(server, "/models") == 200
        (key,) = new_keys(server.data_dir, ["--scopes", "verify"])
        assert eventually(lambda: get(server, "/models") == 401)
        assert get(server, "/models", X_API_Key=key) == 200


def test_auth_on_asks_for_a_key_that_nobody_has_yet(tmp_path):
    with Server(tmp_path / "data", LIKENESS_AUTH="on") as server:
        assert get(server, "/models") == 401


HEADERS = [
    {"Host": "evil.example"},
    {"Host": "evil.example", "Origin": "http://evil.example", "Sec_Fetch_Site": "same-origin"},
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Sec_Fetch_Site": "cross-site"},
]


@pytest.mark.parametrize("headers", HEADERS, ids=str)
def test_without_keys_a_web_page_of_another_site_is_not_let_in(server, headers):
    lines = {"Host": f"127.0.0.1:{server.port}", "Connection": "close"} | headers
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in lines.items())
    with Wire(server) as wire:
        wire.send(f"GET /models HTTP/1.1\r\n{head}\r\n".encode())
        assert wire.status() == 403
