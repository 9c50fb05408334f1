"""The command sweep."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from training.sweep import study
from training.sweep.search_space import parse

cli = typer.Typer()


@cli.command()
def sweep(
    toml: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The config, with evaluation.every.")],
    output: Annotated[Path, typer.Option(help="A folder for the study and its runs; a stopped sweep goes on there.")],
    search: Annotated[
        list[str], typer.Option(help="optimizer.lr=log:1e-3..1e-1, batch.faces=2..8 or loss.miner=a,b. Repeatable.")
    ],
    trials: Annotated[int, typer.Option(min=1, help="Runs in all.")] = 20,
    measure: Annotated[study.Measure, typer.Option(help="The measure on held-out people to make larger.")] = "auc",
    set_: Annotated[list[str] | None, typer.Option("--set", help="Replace a key in all runs.")] = None,
) -> None:
    """Train with other options again and again, chosen by Optuna, and tell which were the best."""
    best = study.run(toml, output, parse(search), trials=trials, measure=measure, fixed=set_ or [])
    typer.echo(json.dumps(best, indent=2))
