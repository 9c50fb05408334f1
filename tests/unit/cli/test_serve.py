"""`likeness serve` before the server: what is wrong is told in a sentence."""

import pickle
import socket

import pytest
from starlette.testclient import TestClient

from app.server.protocol import ConnectionLimits
from tests.unit.cli.conftest import Command, Served


def test_it_serves_where_the_settings_say(likeness: Command, server: Served) -> None:
    done = likeness("serve", host="::1", port=8123, max_header_bytes=2048)
    ((app, options),) = server.asked
    assert done.exit_code == 0
    assert app.title == "Likeness"
    assert (options["host"], options["port"]) == ("::1", 8123)
    assert options["limits"] == ConnectionLimits(max_connections=1024, max_head_bytes=2048, head_timeout=10)


def test_the_models_that_were_checked_serve(likeness: Command, server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    likeness("serve")
    ((app, _),) = server.asked
    monkeypatch.setattr("app.bootstrap.services.open_models", None)
    with TestClient(app) as client:
        assert client.get("/readyz").status_code == 200


def test_several_workers_each_make_the_application_themselves(likeness: Command, server: Served) -> None:
    done = likeness("serve", workers=3, shutdown_delay=2)
    ((make, options),) = server.asked
    assert done.exit_code == 0
    assert (options["workers"], options["shutdown_delay"]) == (3, 2)
    assert pickle.loads(pickle.dumps(make))().title == "Likeness"  # noqa: S301 - our own, of a moment ago


def test_an_address_that_others_reach_needs_a_key(likeness: Command, server: Served) -> None:
    places = [{"host": "0.0.0.0"}, {"host": "192.168.1.7"}, {"published_on": "0.0.0.0"}]  # noqa: S104
    refused = [likeness("serve", **where) for where in places]
    asked_before = len(server.asked)
    likeness("keys", "create", "--scopes", "verify")
    taken = likeness("serve", **places[0])
    assert [(done.exit_code, "likeness keys create" in done.stderr) for done in refused] == [(2, True)] * 3
    assert asked_before == 0
    assert (taken.exit_code, len(server.asked)) == (0, 1)


def test_a_container_that_is_published_on_loopback_only_needs_no_key(likeness: Command, server: Served) -> None:
    done = likeness("serve", host="0.0.0.0", published_on="127.0.0.1")  # noqa: S104
    assert (done.exit_code, len(server.asked)) == (0, 1)


def test_everybody_is_let_in_only_where_that_was_said_and_with_a_warning(
    likeness: Command, server: Served, caplog: pytest.LogCaptureFixture
) -> None:
    done = likeness("serve", host="0.0.0.0", auth="off")  # noqa: S104
    assert (done.exit_code, len(server.asked)) == (0, 1)
    assert "everybody who can reach 0.0.0.0 may do everything" in caplog.text


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"model": "none"}, "no model in "),
        ({"model": "none", "workers": 2}, "no model in "),
        ({"models_dir": "nowhere"}, "no model in nowhere"),
        ({"data_dir": "file/data"}, "cannot open the gallery file/data"),
        ({"provider": "tensorrt"}, "provider 'tensorrt' was asked for"),
    ],
)
def test_what_stops_the_start_is_told_in_a_sentence_and_nothing_is_served(
    likeness: Command, server: Served, settings: dict[str, str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    (likeness.folder / "file").touch()
    done = likeness("serve", **settings)
    assert done.exit_code == 2
    assert done.stderr.startswith(f"error: {words}")
    assert server.asked == []


def test_a_port_that_is_taken_is_told_in_a_sentence(likeness: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.observability.logging.configure_logging", lambda *_: None)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = likeness("serve", port=taken.getsockname()[1])
    assert done.exit_code == 2
    assert done.stderr.startswith("error: cannot listen on 127.0.0.1, port ")


@pytest.mark.parametrize("host", ["nowhere.invalid", 70 * "a" + ".example"])
def test_a_host_that_does_not_exist_is_told_in_a_sentence(
    likeness: Command, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.observability.logging.configure_logging", lambda *_: None)
    done = likeness("serve", host=host, auth="off")
    assert done.exit_code == 2
    assert done.stderr.startswith(f"error: cannot listen on {host}, port 8000: ")
