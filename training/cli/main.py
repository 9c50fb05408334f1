"""`python -m training`: from photos to a served model, a command a step."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from app.domain.errors import LikenessError
from app.matching.calibration import FmrScope
from training.calibration import fit
from training.cli import convert, evaluate
from training.cli.evaluate import MODELS, Memory, MinFace, ModelId, ModelsDir, Pairs, folder
from training.config import loading
from training.engine import trainer, weight_interpolation
from training.errors import TrainingError
from training.evaluation.verification import Task
from training.export import model_card, onnx, quantization_gate
from training.networks.embedder import Views
from training.pipeline import prepare
from training.pipeline.detection_cache import FaceFinder

cli = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Train, measure and export networks.",
)
cli.add_typer(evaluate.cli, name="evaluate")
cli.add_typer(convert.cli)

Images = Annotated[Path, typer.Option(exists=True, file_okay=False, help="One folder of photos a person.")]


@cli.command("prepare")
def prepare_(
    images: Images,
    output: Annotated[Path, typer.Option(help="Where the aligned crops go.")],
    min_face: MinFace = None,
    models_dir: ModelsDir = MODELS,
) -> None:
    """Align photos by the served detector: 144 px crops, a folder a person. May be run again."""
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
    output: Annotated[Path, typer.Option(help="Folder of the run.")],
    resume: Annotated[bool, typer.Option(help="Go on from the last checkpoint there.")] = False,  # noqa: FBT002
    set_: Annotated[list[str] | None, typer.Option("--set", help="Replaces a key: --set optimiser.steps=10")] = None,
) -> None:
    """Train a network."""
    typer.echo(f"weights in {trainer.run(loading.load(toml, set_ or ()), output, resume=resume)}")


@cli.command("calibrate")
def calibrate_(
    images: Images,
    model: ModelId,
    name: Annotated[str, typer.Option(help="What to call the data; every answer will say it.")],
    cohorts: Annotated[
        Path | None, typer.Option(exists=True, help="One folder a cohort, or a CSV path,group (and person).")
    ] = None,
    fmr_scope: Annotated[
        FmrScope, typer.Option(help="Hold FMRs over all people, or in the worst of the cohorts as well.")
    ] = "overall",
    memory: Memory = None,
    models_dir: ModelsDir = MODELS,
) -> None:
    """Measure thresholds and their error rates, and write calibration.json beside the model."""
    model_folder = folder(models_dir, model)
    path = fit.run(images, name, model_folder, cohorts, models_dir, fmr_scope=fmr_scope, memory=memory)
    typer.echo(f"wrote {path}; {fit.summary(model_folder)}")


@cli.command("blend")
def blend_(
    run: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="Folder of a run that had starting weights.")
    ],
    output: Annotated[Path, typer.Option(help="Folder of the blended run.")],
    share: Annotated[float, typer.Option(min=0, max=1, help="Of the trained weights; the rest is where they started.")],
) -> None:
    """Go back part of the way to the starting weights."""
    typer.echo(f"weights in {weight_interpolation.run(run, output, share)}")


@cli.command("export")
def export_(
    run: Annotated[Path, typer.Argument(exists=True, help="Folder of a run, or a file with a state dict.")],
    output: Annotated[Path, typer.Option(help="The model folder to write; its name becomes the model's id.")],
    license: Annotated[str, typer.Option(help="Under which the model may be used.")],
    network: Annotated[str, typer.Option(help="Name of the network.")] = "mobilefacenet",
    embedding_size: Annotated[int, typer.Option(min=2)] = 128,
    views: Annotated[Views, typer.Option(help="Averaged in the graph: crop, mirror (2 passes), zoom (4).")] = "mirror",
) -> None:
    """Write a served model: uint8 crops in, unit vectors out, equal to PyTorch's to 1e-5."""
    path = onnx.run(run, output, network=network, embedding_size=embedding_size, views=views, license=license)
    typer.echo(f"wrote {path}")


@cli.command("quantise")
def quantise_(
    model: Annotated[str, typer.Argument(help="A folder in --models-dir, or the path of one.")],
    images: Annotated[Path, typer.Option(exists=True, file_okay=False, help="Aligned crops of training faces.")],
    output: Annotated[Path, typer.Option(help="The model folder to write; its name becomes the model's id.")],
    photos: Annotated[Path, typer.Option(exists=True, file_okay=False, help="Photos to compare the two on.")],
    pairs: Pairs,
    memory: Memory = None,
    models_dir: ModelsDir = MODELS,
) -> None:
    """Write an 8-bit model, if it loses at most 0.1 points of accuracy and 0.5 of TMR at FMR 1e-4."""
    task = Task.open(photos, pairs, FaceFinder(models_dir, memory=memory))
    typer.echo(f"wrote {output}: {quantization_gate.run(folder(models_dir, model), images, output, task)}")


@cli.command("card")
def card_(
    model: ModelId,
    run: Annotated[Path, typer.Option(exists=True, file_okay=False, help="Folder of the run.")],
    report: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="What `evaluate lfw --json` wrote.")],
    models_dir: ModelsDir = MODELS,
) -> None:
    """Write MODEL_CARD.md beside a model: how it was trained, what it measures."""
    typer.echo(f"wrote {model_card.write(folder(models_dir, model), run, report)}")


def main() -> None:
    try:
        cli()
    except (TrainingError, LikenessError) as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)
