"""Settings that cannot work stop the start with a reason; who can reach a service decides whether it needs keys."""

from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.commands import new_keys
from tests.support.server import Server
from tests.support.wire import Wire

EVERYWHERE = "0.0.0.0"  # noqa: S104 - to see that it is refused


class WithKeys(NamedTuple):
    data_dir: Path
    key: str


@pytest.fixture(scope="module")
def with_keys(tmp_path_factory: pytest.TempPathFactory) -> WithKeys:
    data_dir = tmp_path_factory.mktemp("keys") / "data"
    return WithKeys(data_dir, *new_keys(data_dir, ["--scopes", "verify"]))


def get(server: Server, path: str, **headers: str) -> int:
    with Wire(server) as wire:
        return wire.head("GET", path, 0, Connection="close", **headers).status()


def warns_about_auth(server: Server) -> bool:
    lines = server.log.read_text().splitlines()
    return any('"level": "warning"' in line and "LIKENESS_AUTH" in line for line in lines)


@pytest.mark.parametrize(("setting", "value"), [("LIKENESS_MODEL", "no-such-model"), ("LIKENESS_DEFAULT_FMR", "often")])
def test_a_setting_that_cannot_be_used_stops_the_start(tmp_path: Path, setting: str, value: str) -> None:
    status, words = Server(tmp_path / "data", **{setting: value}).fail_to_start()
    assert status not in {0, -9}
    assert value in words or setting.removeprefix("LIKENESS_").lower() in words.lower()


def test_a_port_in_use_stops_the_start_of_several_workers(server: Server, tmp_path: Path) -> None:
    second = Server(tmp_path / "data", LIKENESS_PORT=str(server.port), LIKENESS_WORKERS="2")
    assert second.refused().splitlines()[-1].startswith("error: cannot listen on 127.0.0.1, port ")


def test_without_a_key_another_address_is_refused_in_one_sentence_that_helps(tmp_path: Path) -> None:
    server = Server(tmp_path / "data", LIKENESS_HOST=EVERYWHERE)
    words = server.refused()
    assert len(words.splitlines()) == 1
    assert "likeness keys create" in words
    assert "LIKENESS_AUTH=off" in words
    with pytest.raises(ConnectionRefusedError):
        Wire(server)


def test_with_a_key_another_address_is_served_to_its_holder(with_keys: WithKeys) -> None:
    with Server(with_keys.data_dir, LIKENESS_HOST=EVERYWHERE) as server:
        assert get(server, "/models") == 401
        assert get(server, "/models", X_API_Key=with_keys.key) == 200


def test_a_container_published_on_loopback_needs_no_key(tmp_path: Path) -> None:
    with Server(tmp_path / "data", LIKENESS_HOST=EVERYWHERE, LIKENESS_PUBLISHED_ON="127.0.0.1") as server:
        assert get(server, "/models") == 200


def test_auth_off_with_keys_answers_everybody_and_warns(with_keys: WithKeys) -> None:
    with Server(with_keys.data_dir, LIKENESS_AUTH="off", LIKENESS_HOST=EVERYWHERE) as server:
        assert get(server, "/models") == 200
        assert warns_about_auth(server)


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example", "Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
    ids=str,
)
def test_without_keys_a_web_page_of_another_site_is_refused(server: Server, headers: dict[str, str]) -> None:
    lines = {"Host": f"127.0.0.1:{server.port}", "Connection": "close"} | headers
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    with Wire(server) as wire:
        wire.send(f"GET /models HTTP/1.1\r\n{head}\r\n".encode())
        assert wire.status() == 403
