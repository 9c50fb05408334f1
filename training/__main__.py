"""`python -m training`: from photos to a served model, a command a step."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from app.domain.errors import LikenessError
from training import blend, calibrate, card, config, evaluate, export, foreign, prepare, train
from training.errors import TrainingError

cli = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Train, measure and export networks.",
)
measure = typer.Typer(no_args_is_help=True, help="Measure the served pipeline.")
cli.add_typer(measure, name="evaluate")
cli.add_typer(foreign.cli)

Images = Annotated[Path, typer.Option(exists=True, file_okay=False, help="One folder of photos a person.")]
ModelsDir = Annotated[Path, typer.Option(help="Where the model folders are.")]
ModelId = Annotated[str, typer.Option(help="A folder in --models-dir, or the path of one.")]
MODELS = Path("models")


@cli.command("prepare")
def prepare_(
    images: Images,
    output: Annotated[Path, typer.Option(help="Where the aligned crops go.")],
    min_face: Annotated[float, typer.Option(min=12, help="Side of the smallest face looked for, in pixels.")] = 40.0,
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
    toml: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A TOML file, as training/configs has.")],
    output: Annotated[Path, typer.Option(help="Folder of the run.")],
    resume: Annotated[bool, typer.Option(help="Go on from the last checkpoint there.")] = False,  # noqa: FBT002
    set_: Annotated[list[str] | None, typer.Option("--set", help="Replaces a key: --set optimiser.steps=10")] = None,
) -> None:
    """Train a network."""
    typer.echo(f"weights in {train.run(config.load(toml, set_ or ()), output, resume=resume)}")


@measure.command("lfw")
def evaluate_lfw(
    images: Images,
    pairs: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="LFW's pairs.txt, or one of its form.")],
    model: ModelId,
    json_: Annotated[Path, typer.Option("--json", help="Where the report goes.")],
    plot: Annotated[Path | None, typer.Option(help="Where a PNG of the DET and ROC curves goes.")] = None,
    baseline: Annotated[str | None, typer.Option(help="A model to compare with, measured in the same run.")] = None,
    models_dir: ModelsDir = MODELS,
) -> None:
    """LFW's protocol and all pairs, through the served pipeline, clean and degraded."""
    other = _folder(models_dir, baseline) if baseline else None
    report = evaluate.lfw(images, pairs, _folder(models_dir, model), other, models_dir)
    evaluate.write(report, json_, plot)
    typer.echo(evaluate.summary(report))


@cli.command("calibrate")
def calibrate_(
    images: Images,
    model: ModelId,
    name: Annotated[str, typer.Option(help="What to call the data; every answer will say it.")],
    cohorts: Annotated[Path | None, typer.Option(exists=True, file_okay=False, help="One folder a cohort.")] = None,
    models_dir: ModelsDir = MODELS,
) -> None:
    """Measure thresholds and their error rates, and write calibration.json beside the model."""
    typer.echo(f"wrote {calibrate.run(images, name, _folder(models_dir, model), cohorts, models_dir)}")


@cli.command("blend")
def blend_(
    run: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="Folder of a run that had starting weights.")
    ],
    output: Annotated[Path, typer.Option(help="Folder of the blended run.")],
    share: Annotated[float, typer.Option(min=0, max=1, help="Of the trained weights; the rest is where they started.")],
) -> None:
    """Go back part of the way to the starting weights."""
    typer.echo(f"weights in {blend.run(run, output, share)}")


@cli.command("export")
def export_(
    run: Annotated[Path, typer.Argument(exists=True, help="Folder of a run, or a file with a state dict.")],
    output: Annotated[Path, typer.Option(help="The model folder to write; its name becomes the model's id.")],
    licence: Annotated[str, typer.Option(help="Under which the model may be used.")],
    network: Annotated[str, typer.Option(help="Name of the network.")] = "mobilefacenet",
    embedding_size: Annotated[int, typer.Option(min=2)] = 128,
    mirror: Annotated[bool, typer.Option(help="Average with the mirror image, inside the graph.")] = True,  # noqa: FBT002
) -> None:
    """Write a served model: uint8 crops in, unit vectors out, equal to PyTorch's to 1e-5."""
    path = export.run(run, output, network=network, embedding_size=embedding_size, mirror=mirror, licence=licence)
    typer.echo(f"wrote {path}")


@cli.command("card")
def card_(
    model: ModelId,
    run: Annotated[Path, typer.Option(exists=True, file_okay=False, help="Folder of the run.")],
    report: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="What `evaluate lfw --json` wrote.")],
    models_dir: ModelsDir = MODELS,
) -> None:
    """Write MODEL_CARD.md beside a model: how it was trained, what it measures."""
    typer.echo(f"wrote {card.write(_folder(models_dir, model), run, report)}")


def _folder(models_dir: Path, name: str) -> Path:
    return Path(name) if "/" in name else models_dir / name


def main() -> None:
    try:
        cli()
    except (TrainingError, LikenessError) as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
