"""`python -m training sweep`: options are proposed in their ranges, and a stopped sweep goes on."""

import csv
import importlib.util
import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from training.cli.main import cli
from training.errors import TrainingError
from training.sweep import study
from training.sweep.search_space import Choice, Range, UnusableSearch, overrides, parse

needs_optuna = pytest.mark.skipif(importlib.util.find_spec("optuna") is None, reason="the extra `sweep` is missing")

CONFIG = """
[data]
roots = ["{people}"]
[network]
name = "tiny"
embedding_size = 8
batch_norm = "updated"
[batch]
people = 2
faces = 2
[loss]
miner = "batch-hard"
distillation_weight = 0
[optimizer]
steps = 2
warmup_steps = 0
[evaluation]
every = 2
held_out = 0.34
[run]
threads = 1
"""


def test_a_search_is_a_range_or_a_choice() -> None:
    searches = [
        "optimizer.lr=log:1e-3..0.1",
        "batch.faces = 2..8",
        "loss.miner=batch-hard,semi-hard",
        "run.tf32=true,false",
    ]
    assert parse(searches) == {
        "optimizer.lr": Range(1e-3, 0.1, log=True),
        "batch.faces": Range(2, 8, log=False),
        "loss.miner": Choice(('"batch-hard"', '"semi-hard"')),
        "run.tf32": Choice(("true", "false")),
    }


@pytest.mark.parametrize(
    "search",
    ["optimizer.lr", "optimizer.lr=a..b", "optimizer.lr=2..1", "optimizer.lr=log:0..1", "run.tf32=false..true"],
)
def test_another_search_is_refused(search: str) -> None:
    with pytest.raises(UnusableSearch, match=f"--search {search}: expected"):
        parse([search])


@needs_optuna
def test_a_trial_overrides_options_as_toml() -> None:
    import optuna

    searched = parse(["optimizer.lr=log:1e-3..0.1", "batch.faces=2..8", "loss.miner=batch-hard,semi-hard"])
    trial = optuna.trial.FixedTrial({"optimizer.lr": 0.01, "batch.faces": 3, "loss.miner": '"semi-hard"'})
    assert overrides(searched, trial) == ["optimizer.lr=0.01", "batch.faces=3", 'loss.miner="semi-hard"']


@pytest.mark.slow
@needs_optuna
@pytest.mark.usefixtures("tiny")
def test_a_run_that_diverges_counts_as_the_worst(people: Path, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(CONFIG.format(people=people))
    searched = parse(["optimizer.lr=1e29..1e30"])
    fixed = ["optimizer.clip_norm=1e30"]
    best = study.run(tmp_path / "config.toml", tmp_path / "sweep", searched, trials=1, measure="tmr", fixed=fixed)
    assert (best["trial"], best["tmr"], best["run"]) == (0, 0.0, str(tmp_path / "sweep" / "trial-000"))
    assert not (tmp_path / "sweep" / "trial-000" / "network.pt").exists()


def test_without_optuna_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(study.OptunaMissing, match=r"Optuna is not installed: pip install 'likeness\[sweep\]'"):
        study.run(tmp_path / "config.toml", tmp_path, {}, trials=1, measure="auc", fixed=[])


@pytest.mark.slow
@needs_optuna
@pytest.mark.usefixtures("tiny")
def test_a_sweep_trains_in_the_ranges_and_goes_on(people: Path, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(CONFIG.format(people=people))
    arguments = ["sweep", str(tmp_path / "config.toml"), "--output", str(tmp_path / "sweep")]
    arguments += ["--search", "optimizer.lr=log:1e-3..1e-1", "--search", "loss.miner=batch-hard,semi-hard"]
    for trials in (2, 3):
        done = CliRunner().invoke(cli, [*arguments, "--trials", str(trials)], catch_exceptions=False)
        assert done.exit_code == 0, done.output
    with (tmp_path / "sweep" / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["trial"] for row in rows] == ["0", "1", "2"]
    assert all(1e-3 <= float(row["optimizer.lr"]) <= 1e-1 for row in rows)
    assert len({row["optimizer.lr"] for row in rows}) == 3
    configs = [json.loads((tmp_path / "sweep" / f"trial-00{n}" / "config.json").read_text()) for n in range(3)]
    assert [str(config["optimizer"]["lr"]) for config in configs] == [row["optimizer.lr"] for row in rows]
    best = max(rows, key=lambda row: float(row["value"]))
    assert f'"trial": {best["trial"]}' in done.output


@needs_optuna
@pytest.mark.usefixtures("tiny")
def test_a_sweep_needs_held_out_people(people: Path, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(CONFIG.format(people=people).replace("every = 2", "every = 0"))
    arguments = [
        "sweep",
        str(tmp_path / "config.toml"),
        "--output",
        str(tmp_path),
        "--search",
        "optimizer.lr=1e-3..1e-1",
    ]
    refused = CliRunner().invoke(cli, arguments)
    assert isinstance(refused.exception, TrainingError)
    assert "expected evaluation.every" in str(refused.exception)
