"""`python -m training sweep`: runs of one config with other options, chosen by Optuna, an extra."""

from __future__ import annotations

import csv
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeAlias

from training.config import loading
from training.engine import trainer
from training.engine.health_checks import AtChance, Collapsed
from training.engine.run_record import RECORD
from training.engine.train_step import Diverged
from training.errors import TrainingError
from training.sweep.search_space import Searched, overrides

STUDY, RESULTS = "study.db", "trials.csv"
Measure: TypeAlias = Literal["auc", "tmr"]
FAILURES = (Diverged, Collapsed, AtChance)
"""Runs that end so count as the worst, and the sweep goes on."""


class OptunaMissing(TrainingError):
    """Optuna cannot be imported."""


def run(
    toml: Path, output: Path, searched: Searched, *, trials: int, measure: Measure, fixed: list[str], seed: int = 0
) -> dict[str, Any]:
    """
    Train until the study in `output` has `trials` runs, and return the best one's number, value and options.

    A stopped sweep goes on: each run is a folder there. Raises TrainingError if the config evaluates nobody.
    """
    optuna = _import_optuna()
    if not loading.load(toml, fixed).evaluation.every:
        raise TrainingError(f"{toml}: expected evaluation.every, since runs are compared on held-out people")
    output.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        study_name="sweep",
        storage=f"sqlite:///{output / STUDY}",
        direction="maximize",
        load_if_exists=True,
    )
    study.sampler = optuna.samplers.TPESampler(seed=seed + len(study.trials))  # one that goes on draws other values
    train = _objective(toml, output, searched, measure, fixed)
    study.optimize(train, n_trials=max(0, trials - len(study.trials)))
    _write_results(output / RESULTS, study.trials, list(searched))
    best = study.best_trial
    return {"trial": best.number, measure: best.value, "options": best.params, "run": str(_folder(output, best.number))}


def _objective(
    toml: Path, output: Path, searched: Searched, measure: Measure, fixed: list[str]
) -> Callable[[Any], float]:
    def train(trial: Any) -> float:
        folder = _folder(output, trial.number)
        config = loading.load(toml, [*fixed, *overrides(searched, trial)])
        try:
            trainer.train(config, folder, resume=False)
        except FAILURES:
            return 0.0
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        return float(record["evaluation"]["best"][measure])

    return train


def _folder(output: Path, number: int) -> Path:
    return output / f"trial-{number:03d}"


def _write_results(path: Path, trials: list[Any], options: list[str]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["trial", "value", *options])
        rows.writerows(
            [trial.number, trial.value, *(trial.params.get(option) for option in options)] for trial in trials
        )


def _import_optuna() -> Any:
    if importlib.util.find_spec("optuna") is None:
        raise OptunaMissing("Optuna is not installed: pip install 'likeness[sweep]'")
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
