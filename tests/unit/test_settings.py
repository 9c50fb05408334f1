"""Settings have a description, bounds, and defaults that work."""

import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from app.faces.detector.mtcnn import SERVING_OPTIONS, cascade_options
from app.settings import BUNDLED_MODELS, Settings, unknown_variables


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
        ("max_faces", 0),
        ("max_batch", 257),
        ("deadline", 0),
        ("max_image_bytes", 0),
        ("max_image_pixels", 0),
        ("max_body_bytes", 0),
        ("min_face", 11.9),
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


@pytest.mark.parametrize(("given", "each"), [({}, 8), ({"workers": 3}, 2), ({"workers": 9}, 1)])
def test_workers_share_the_cores(monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], each: int) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 8)

    assert Settings(**given).photos_at_once == each
    assert Settings(**given, photo_threads=5).photos_at_once == 5


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
