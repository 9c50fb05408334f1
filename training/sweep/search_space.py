"""The search space of a sweep: options of a config, each with the values that it may take."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Protocol

from training.errors import TrainingError

_FORMS = "OPTION=LOW..HIGH, OPTION=log:LOW..HIGH or OPTION=VALUE,VALUE"


class UnusableSearch(TrainingError):
    """A --search is not of the known forms."""


class Trial(Protocol):
    """A trial of Optuna, which proposes values."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float: ...
    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int: ...
    def suggest_categorical(self, name: str, choices: list[str]) -> str: ...


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from `low` to `high`; whole ones if both are."""

    low: float
    high: float
    log: bool

    def suggest(self, option: str, trial: Trial) -> str:
        if isinstance(self.low, int) and isinstance(self.high, int):
            return repr(trial.suggest_int(option, self.low, self.high, log=self.log))
        return repr(float(trial.suggest_float(option, self.low, self.high, log=self.log)))


@dataclass(frozen=True, slots=True)
class Choice:
    """Some values, written as TOML."""

    values: tuple[str, ...]

    def suggest(self, option: str, trial: Trial) -> str:
        return trial.suggest_categorical(option, list(self.values))


Searched = dict[str, Range | Choice]


def parse(searches: list[str]) -> Searched:
    """Return the values of each option. Raises UnusableSearch."""
    parsed = {}
    for text in searches:
        option, _, values = (part.strip() for part in text.partition("="))
        if not (option and values):
            raise UnusableSearch(f"--search {text}: expected {_FORMS}")
        parsed[option] = _range(text, values) if ".." in values else _choice(values)
    return parsed


def overrides(searched: Searched, trial: Trial) -> list[str]:
    """Return lines for `--set`, with the values that the trial proposes."""
    return [f"{option}={values.suggest(option, trial)}" for option, values in searched.items()]


def _range(text: str, values: str) -> Range:
    log = values.startswith("log:")
    try:
        low, high = (_number(part) for part in values.removeprefix("log:").split("..", 1))
    except ValueError:
        raise UnusableSearch(f"--search {text}: expected two numbers, in {_FORMS}") from None
    if low >= high or (log and low <= 0):
        raise UnusableSearch(f"--search {text}: expected LOW below HIGH, and above 0 with log")
    return Range(low, high, log)


def _number(text: str) -> float:
    value: Any = json.loads(text)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(text)
    return value


def _choice(values: str) -> Choice:
    """Quote words, so that TOML takes them as text."""
    words = [word.strip() for word in values.split(",")]
    return Choice(
        tuple(json.dumps(word) if word[0].isalpha() and word not in ("true", "false") else word for word in words)
    )
