"""Settings have a description, bounds, and defaults that work."""

import os
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from app.faces.detector.mtcnn import SERVING_OPTIONS, cascade_options
from app.settings import Settings, unknown_variables
from app.settings.models import BUNDLED_MODELS


def is_number(field: FieldInfo) -> bool:
    return bool({int, float} & {field.annotation, *get_args(field.annotation)})


@pytest.fixture(autouse=True)
def nothing_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Removes the settings of this machine, and changes to an empty folder for `.env`."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("LIKENESS_")]:
        monkeypatch.delenv(name)


def test_every_setting_has_a_description() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_defaults_are_those_of_the_contract() -> None:
    settings = Settings()

    assert (settings.host, settings.port, settings.provider) == ("127.0.0.1", 8000, "auto")
    assert (settings.max_image_bytes, settings.max_image_pixels) == (10 * 2**20, 40_000_000)
    assert (settings.default_fmr, settings.default_fpir) == (1e-4, 0.01)
    assert settings.data_dir == Path("data")
    assert settings.min_face is None
    assert cascade_options(settings.min_face) == SERVING_OPTIONS
    assert SERVING_OPTIONS.min_face == 40


def test_environment_takes_precedence_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("LIKENESS_PORT=1111\nLIKENESS_HOST=file\n")
    monkeypatch.setenv("LIKENESS_PORT", "2222")

    assert (Settings().port, Settings().host) == (2222, "file")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", -1),
        ("port", 65536),
        ("model", "../elsewhere"),
        ("provider", "gpu"),
        ("workers", 0),
        ("threads", 0),
        ("photo_threads", 0),
        ("max_waiting", 0),
        ("max_waiting", 10**30),
        ("max_faces", 0),
        ("max_batch", 257),
        ("deadline", 0),
        ("deadline", "nan"),
        ("deadline", "inf"),
        ("deadline", 86401),
        ("deadline", "30s"),
        ("head_timeout", "inf"),
        ("upload_timeout", "1e30"),
        ("max_image_bytes", 0),
        ("max_image_bytes", "10MB"),
        ("max_connections", 10**30),
        ("max_faces_per_gallery", 2**63),
        ("max_header_bytes", 2**63),
        ("rate_limit", -1),
        ("subject_attempts_per_hour", 10**30),
        ("shutdown_delay", "nan"),
        ("retention", "90"),
        ("trusted_proxies", "not an ip"),
        ("trusted_proxies", "proxy.internal"),
        ("trusted_proxies", "10.0.0.1/8"),
        ("trusted_proxies", "127.0.0.1,,::1"),
        ("trusted_proxies", "*"),
        ("max_image_pixels", 0),
        ("max_body_bytes", 0),
        ("min_face", 11.9),
        ("min_face", 1e9),
        ("min_face", "inf"),
        ("default_fmr", 0),
        ("default_fmr", 1),
        ("default_fpir", 1),
        ("enroll_min_size", 1.1),
        ("enroll_min_sharpness", -0.1),
        ("enroll_min_frontality", "much"),
        ("enroll_min_inside", 2),
    ],
)
def test_value_out_of_bounds_is_refused_with_its_name(monkeypatch: pytest.MonkeyPatch, name: str, value: Any) -> None:
    monkeypatch.setenv(f"LIKENESS_{name.upper()}", str(value))

    with pytest.raises(ValidationError) as caught:
        Settings()
    assert [error["loc"] for error in caught.value.errors()] == [(name,)]


@pytest.mark.parametrize("name", [name for name, field in Settings.model_fields.items() if is_number(field)])
def test_every_number_has_an_upper_bound_and_is_finite(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for value in ("nan", "inf", "-inf", "1" + 30 * "0"):
        monkeypatch.setenv(f"LIKENESS_{name.upper()}", value)

        with pytest.raises(ValidationError):
            Settings()


@pytest.mark.parametrize("proxies", ["127.0.0.1", "10.0.0.0/8, 192.168.1.7", "::1,fd00::/8"])
def test_proxies_are_addresses_or_networks(monkeypatch: pytest.MonkeyPatch, proxies: str) -> None:
    monkeypatch.setenv("LIKENESS_TRUSTED_PROXIES", proxies)

    assert Settings().trusted_proxies == proxies


def test_a_choice_may_be_written_in_capitals(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"LOG_LEVEL": "DEBUG", "LOG_FORMAT": "Text", "AUTH": "ON", "PROVIDER": "CPU"}.items():
        monkeypatch.setenv(f"LIKENESS_{name}", value)
    settings = Settings()

    assert (settings.log_level, settings.log_format, settings.auth, settings.provider) == ("debug", "text", "on", "cpu")


@pytest.mark.parametrize(("given", "each"), [({}, 8), ({"workers": 3}, 2), ({"workers": 9}, 1)])
def test_workers_share_the_cores(monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], each: int) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))

    assert Settings(**given).photos_at_once == each
    assert Settings(**given, photo_threads=5).photos_at_once == 5


def test_workers_may_be_as_many_as_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.settings.processes.workers_that_fit", lambda: 5)
    monkeypatch.setenv("LIKENESS_WORKERS", "Auto")

    assert Settings().workers == 5
    with pytest.raises(ValidationError, match="valid integer"):
        Settings(workers="many")


def test_models_are_those_of_the_current_directory_where_it_has_a_detector_else_those_installed(tmp_path: Path) -> None:
    nowhere = Settings().models_dir
    (tmp_path / "models" / "mine").mkdir(parents=True)
    others = Settings().models_dir
    (tmp_path / "models" / "mtcnn").mkdir()

    assert nowhere == others == BUNDLED_MODELS
    assert Settings().models_dir == Path("models")


def test_models_that_are_named_are_taken_from_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models" / "mtcnn").mkdir(parents=True)
    monkeypatch.setenv("LIKENESS_MODELS_DIR", "elsewhere")

    assert Settings().models_dir == Path("elsewhere")


def test_the_bundled_models_are_those_of_the_repository(models_dir: Path) -> None:
    assert BUNDLED_MODELS.resolve() == models_dir.resolve()


def test_settings_are_immutable() -> None:
    with pytest.raises(ValidationError):
        Settings().port = 1  # type: ignore[misc]


def test_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RETENTION", "PORT", "ENCRYPTION_KEY"):
        monkeypatch.setenv(f"LIKENESS_{name}", "")
    settings = Settings(_env_file=None)

    assert (settings.retention, settings.port, settings.encryption_key) == (None, 8000, None)


def test_misspelt_variable_is_named_with_a_suggestion() -> None:
    messages = unknown_variables({"LIKENESS_RATELIMIT": "1", "LIKENESS_PORT": "1", "likeness_auth": "on", "PATH": "/"})

    assert messages == ["LIKENESS_RATELIMIT is not a setting; did you mean LIKENESS_RATE_LIMIT?"]


def test_misspelt_variable_in_the_file_is_named_too(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("LIKENESS_PORTT=1\nLIKENESS_HOST=::1\nOTHER=1\n")

    assert unknown_variables({}) == ["LIKENESS_PORTT is not a setting; did you mean LIKENESS_PORT?"]
