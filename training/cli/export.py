"""The commands from weights to a served model: export, quantize, card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from training.cli.options import MODELS, Cache, ModelId, ModelsDir, Output, Pairs, model_folder
from training.evaluation.verification import VerificationTask
from training.export import model_card
from training.export.onnx import export_model
from training.export.quantization_gate import quantize_model
from training.networks.embedder import Views
from training.pipeline.detection_cache import FaceFinder

cli = typer.Typer()


@cli.command()
def export(
    run: Annotated[Path, typer.Argument(exists=True, help="The folder of a run, or a file with a state dict.")],
    output: Output,
    license_: Annotated[str, typer.Option("--license", help="The license of the model.")],
    network: Annotated[
        str | None, typer.Option(help="Of a state dict, by default mobilefacenet; a run has it.")
    ] = None,
    embedding_size: Annotated[int | None, typer.Option(min=2, help="Of a state dict, by default 128.")] = None,
    views: Annotated[Views, typer.Option(help="Averaged in the graph: crop, mirror (2 passes), zoom (4).")] = "mirror",
) -> None:
    """Write a served model: uint8 crops in, unit vectors out, equal to PyTorch's to 1e-5."""
    path = export_model(run, output, network=network, embedding_size=embedding_size, views=views, license_=license_)
    typer.echo(f"wrote {path}")


@cli.command()
def quantize(
    model: Annotated[str, typer.Argument(help="A folder in --models-dir, or the path of one.")],
    images: Annotated[Path, typer.Option(exists=True, file_okay=False, help="Aligned crops of training faces.")],
    output: Output,
    photos: Annotated[Path, typer.Option(exists=True, file_okay=False, help="Photos to compare the models on.")],
    pairs: Pairs,
    cache: Cache = None,
    models_dir: ModelsDir = MODELS,
) -> None:
    """Write an 8-bit model, if it loses at most 0.1 points of accuracy and 0.5 of TMR at FMR 1e-4."""
    task = VerificationTask.open(photos, pairs, FaceFinder(models_dir, cache=cache))
    typer.echo(f"wrote {output}: {quantize_model(model_folder(models_dir, model), images, output, task)}")


@cli.command()
def card(
    model: ModelId,
    report: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="The report of `evaluate lfw --json`.")],
    run: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="The folder of the run; none of a network made elsewhere."),
    ] = None,
    models_dir: ModelsDir = MODELS,
) -> None:
    """Write MODEL_CARD.md beside a model: how it was trained, and its measurements."""
    typer.echo(f"wrote {model_card.write(model_folder(models_dir, model), run, report)}")
