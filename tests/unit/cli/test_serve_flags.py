"""`likeness serve --port 8001`: flags are settings, which win over the environment and over the file .env."""

import inspect

import pytest

from app import __version__
from app.cli import imported
from app.cli.serve import serve
from app.settings import Settings
from tests.unit.cli.conftest import Command, Served

FLAGS = [*inspect.signature(serve).parameters]


@pytest.mark.parametrize("name", FLAGS)
def test_a_flag_is_described_by_its_setting(name: str) -> None:
    (option,) = [option for option in imported("serve").params if option.name == name]
    field = Settings.model_fields[name]
    assert option.opts == [f"--{name.replace('_', '-')}"]
    assert option.default is None
    assert option.help.startswith(str(field.description).replace("`", ""))
    assert field.default_factory or f"Default: {field.default}." in option.help


def test_flags_win_over_the_environment_and_the_environment_over_the_file(likeness: Command, server: Served) -> None:
    (likeness.folder / ".env").write_text("LIKENESS_HOST=::1\nLIKENESS_PORT=1111\nLIKENESS_MAX_HEADER_BYTES=4096\n")
    done = likeness("serve", "--port", 3333, port=2222, host="127.0.0.1")
    ((_, options),) = server.asked
    assert done.exit_code == 0
    assert (options["host"], options["port"], options["limits"].max_head_bytes) == ("127.0.0.1", 3333, 4096)


def test_every_flag_reaches_the_settings(likeness: Command, server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    configured: list[tuple[str, ...]] = []
    monkeypatch.setattr("app.observability.logging.configure_logging", lambda *words, **_: configured.append(words))
    flags = {
        "--host": "127.0.0.2",
        "--port": 8124,
        "--workers": 2,
        "--data-dir": likeness.folder / "elsewhere",
        "--model": "mobilefacenet-128-int8",
        "--models-dir": likeness.models_dir,
        "--provider": "cpu",
        "--log-format": "text",
        "--log-level": "error",
    }
    done = likeness("serve", *[word for flag in flags.items() for word in flag], models_dir="nowhere", model="none")
    ((_, options),) = server.asked
    assert done.exit_code == 0
    assert sorted(flags) == sorted(f"--{name.replace('_', '-')}" for name in FLAGS)
    assert (options["host"], options["port"], options["workers"]) == ("127.0.0.2", 8124, 2)
    assert (likeness.folder / "elsewhere" / "gallery.sqlite3").exists()
    assert configured == [("text", "error")]


def test_a_wrong_flag_is_named_as_it_was_typed_and_a_wrong_variable_as_a_variable(
    likeness: Command, server: Served
) -> None:
    done = likeness("serve", "--log-level", "loud", "--data-dir", "data", workers=0)
    assert done.exit_code == 2
    assert "--log-level: " in done.stderr
    assert "got 'loud'" in done.stderr
    assert "LIKENESS_WORKERS: " in done.stderr
    assert server.asked == []


def test_the_version_is_printed(likeness: Command) -> None:
    done = likeness("--version")
    assert (done.exit_code, done.stdout) == (0, f"likeness {__version__}\n")
