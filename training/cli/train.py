"""The commands from photos to weights: prepare, train, blend."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from training.cli.options import MODELS, MinFace, ModelsDir, People
from training.config import loading
from training.engine import trainer, weight_interpolation
from training.engine.distributed import is_main_process
from training.pipeline import prepare

cli = typer.Typer()


@cli.command("prepare")
def prepare_(
    images: People,
    output: Annotated[Path, typer.Option(help="The folder of aligned crops to write.")],
    min_face: MinFace = None,
    models_dir: ModelsDir = MODELS,
) -> None:
    """Align photos by the served detector: 144 px crops, one folder per person. May be run again."""
    counts = prepare.run(images, output, models_dir, min_face=min_face)
    typer.echo(
        f"{counts['photos']} photos, {counts['already_there']} done before, {counts['skipped']} skipped "
        f"(reasons in {output / prepare.REPORT})"
    )


@cli.command("train")
def train_(
    toml: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="A TOML file, such as those in training/config/presets.")
    ],
    output: Annotated[Path, typer.Option(help="The folder of the run.")],
    resume: Annotated[bool, typer.Option(help="Go on from the last checkpoint there.")] = False,  # noqa: FBT002
    set_: Annotated[list[str] | None, typer.Option("--set", help="Replace a key: --set optimizer.steps=10")] = None,
) -> None:
    """Train a network."""
    path = trainer.train(loading.load(toml, set_ or ()), output, resume=resume)
    if is_main_process():
        typer.echo(f"weights in {path}")


@cli.command()
def blend(
    run: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="The folder of a run that had starting weights.")
    ],
    output: Annotated[Path, typer.Option(help="The folder to write, like that of a run.")],
    share: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the trained weights; the rest is of the starting ones.")
    ],
) -> None:
    """Interpolate between the trained weights and the starting ones."""
    typer.echo(f"weights in {weight_interpolation.interpolate(run, output, share)}")
