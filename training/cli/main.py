"""The command line of training, from photos to a served model."""

from __future__ import annotations

import sys

import typer

from app.domain.errors import LikenessError
from training.cli import benchmarks, calibrate, clean, convert, evaluate, export, offset, sweep, train
from training.data.dataset import UnusableImage
from training.engine.distributed import UnusableDevice, is_main_process
from training.errors import TrainingError

OF_ONE_PROCESS = (UnusableImage, UnusableDevice)
"""Errors that one of several training processes may have alone; every other one is raised by the main process too."""

cli = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Train, measure and export networks.",
)
cli.add_typer(clean.cli)
cli.add_typer(train.cli)
cli.add_typer(sweep.cli)
cli.add_typer(export.cli)
cli.add_typer(convert.cli)
cli.add_typer(offset.cli)
cli.add_typer(calibrate.cli)
evaluate.cli.add_typer(benchmarks.cli)
cli.add_typer(evaluate.cli, name="evaluate")


def main() -> None:
    try:
        cli()
    except (TrainingError, LikenessError) as error:
        if is_main_process() or isinstance(error, OF_ONE_PROCESS):
            typer.echo(f"error: {error}", err=True)
        sys.exit(2)
