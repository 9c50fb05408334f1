"""The command calibrate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.matching.calibration import FmrScope
from training.calibration import fit
from training.cli.options import MODELS, Cache, ModelId, ModelsDir, People, model_folder

cli = typer.Typer()


@cli.command()
def calibrate(
    images: People,
    model: ModelId,
    name: Annotated[str, typer.Option(help="The name of the data; every answer of the service contains it.")],
    cohorts: Annotated[
        list[Path] | None,
        typer.Option(exists=True, help="One folder per cohort, or a CSV path,group (and person). Repeatable."),
    ] = None,
    fmr_scope: Annotated[
        FmrScope, typer.Option(help="Hold FMRs over all people, or in the worst of the cohorts as well.")
    ] = "overall",
    cache: Cache = None,
    models_dir: ModelsDir = MODELS,
) -> None:
    """Measure thresholds and their error rates, and write calibration.json beside the model."""
    folder = model_folder(models_dir, model)
    path = fit.calibrate(images, name, folder, cohorts or [], models_dir, fmr_scope=fmr_scope, cache=cache)
    typer.echo(f"wrote {path}; {fit.summary(folder)}")
