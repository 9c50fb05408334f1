"""The command clean."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from training.cleaning import command
from training.cleaning.command import CleaningOptions
from training.cli.options import MODELS, ModelId, ModelsDir, model_folder
from training.data.crops import CropGeometry
from training.data.dataset import CropFormat
from training.networks.registry import crop_size_of

cli = typer.Typer()
DEFAULTS = CleaningOptions()


@cli.command()
def clean(
    roots: Annotated[
        list[Path], typer.Argument(exists=True, help="What data.roots will be: folders or lists of crops.")
    ],
    model: ModelId,
    report_path: Annotated[Path, typer.Option("--json", help="The report to write, for data.exclude.")],
    network: Annotated[str, typer.Option(help="The network that the crops were prepared for.")] = "mobilefacenet",
    same_fmr: Annotated[
        float, typer.Option(min=0, max=1, help="FMR of the threshold that links the faces of a person.")
    ] = DEFAULTS.same_fmr,
    duplicate_fmr: Annotated[
        float, typer.Option(min=0, max=1, help="FMR of the threshold within which two people are one.")
    ] = DEFAULTS.duplicate_fmr,
    same_threshold: Annotated[float | None, typer.Option(min=0, max=4, help="Use this threshold instead.")] = None,
    duplicate_threshold: Annotated[float | None, typer.Option(min=0, max=4, help="Use this threshold instead.")] = None,
    cache: Annotated[
        Path | None, typer.Option(file_okay=False, help="A folder from which a stopped command goes on.")
    ] = None,
    models_dir: ModelsDir = MODELS,
) -> None:
    """List wrong photos in people's folders, and people in two folders, by the vectors of a served model."""
    options = CleaningOptions(same_fmr, duplicate_fmr, same_threshold, duplicate_threshold)
    crops = CropFormat(CropGeometry(crop_size_of(network)))
    report = command.run(roots, model_folder(models_dir, model), options, crops=crops, cache=cache)
    command.write(report, report_path)
    typer.echo(command.summary(report))
