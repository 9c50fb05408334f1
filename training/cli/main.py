"""The command line of training, from photos to a served model."""

from __future__ import annotations

import sys

import typer

from app.domain.errors import LikenessError
from training.cli import calibrate, convert, evaluate, export, offset, train
from training.errors import TrainingError

cli = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Train, measure and export networks.",
)
cli.add_typer(train.cli)
cli.add_typer(export.cli)
cli.add_typer(convert.cli)
cli.add_typer(offset.cli)
cli.add_typer(calibrate.cli)
cli.add_typer(evaluate.cli, name="evaluate")


def main() -> None:
    try:
        cli()
    except (TrainingError, LikenessError) as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)
