"""Read a training config from a TOML file."""

import tomllib
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from training.config.schema import TrainConfig
from training.errors import TrainingError


class UnusableConfig(TrainingError):
    """The message names the file and the key."""


def load(path: Path, overrides: Sequence[str] = ()) -> TrainConfig:
    """
    Return the config of a TOML file; an override is a line of TOML, such as `optimizer.steps = 10`.

    Paths are relative to the working directory. Raises UnusableConfig, which names the file and the key.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        for line in overrides:
            _merge(values, _override(line))
        return TrainConfig.model_validate(values)
    except ValidationError as error:
        complaints = [_complaint(dict(one), path, overrides) for one in error.errors()]
        raise UnusableConfig("; ".join(complaints)) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UnusableConfig(f"{path}: {error}") from error


def _override(line: str) -> dict[str, Any]:
    """Return the values of `section.option = value`. Raises UnusableConfig, which names the option."""
    option, _, value = (part.strip() for part in line.partition("="))
    try:
        return tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        example = f"--set '{option}=\"{value}\"'" if value.isidentifier() else "--set optimizer.steps=10"
        raise UnusableConfig(f"--set {line}: expected OPTION=VALUE in TOML, as in {example}") from None


def _merge(values: dict[str, Any], changes: dict[str, Any]) -> None:
    for key, change in changes.items():
        if isinstance(change, dict) and isinstance(values.get(key), dict):
            _merge(values[key], change)
        else:
            values[key] = change


def _complaint(error: dict[str, Any], path: Path, overrides: Sequence[str]) -> str:
    """Return one error in a line that begins with its source: the override of the option, or the file."""
    key = ".".join(map(str, error["loc"]))
    overriding = (f"--set {line}" for line in overrides if line.partition("=")[0].strip() == key)
    source = next(overriding, str(path))
    if error["type"] == "extra_forbidden":
        return f"{source}: {key} is not an option{_suggestion(key)}"
    return f"{source}: {_problem(error, key)}"


def _suggestion(key: str) -> str:
    """Name the option that was probably meant."""
    meant = {section: section for section in TrainConfig.model_fields}
    for section, field in TrainConfig.model_fields.items():
        for option in getattr(field.annotation, "model_fields", ()):
            meant |= {option: f"{section}.{option}", f"{section}.{option}": f"{section}.{option}"}
    similar = get_close_matches(key, meant, n=1)
    return f"; {meant[similar[0]]} is" if similar else ""


def _problem(error: dict[str, Any], key: str) -> str:
    got = "" if isinstance(error["input"], dict) else f", got {error['input']!r}"
    return ": ".join(filter(None, [key, error["msg"].removeprefix("Value error, ")])) + got
