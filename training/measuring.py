"""The commands below `evaluate`: what the served pipeline is worth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from app.faces.detector.mtcnn import cascade_options
from training import cohort_report, cuts, cuts_report, evaluate, evaluation_summary, finding, groups, sensitivity
from training.cohorts import SAME_PERSON
from training.errors import TrainingError
from training.evaluate import Task
from training.served import ServedModel
from training.sights import FaceFinder

cli = typer.Typer(no_args_is_help=True, help="Measure the served pipeline.")

ModelsDir = Annotated[Path, typer.Option(help="Where the model folders are.")]
ModelId = Annotated[str, typer.Option(help="A folder in --models-dir, or the path of one.")]
Images = Annotated[Path, typer.Option(exists=True, file_okay=False, help="Where the photos are.")]
Pairs = Annotated[
    Path, typer.Option(exists=True, dir_okay=False, help="LFW's pairs.txt, or a CSV first,second,same,fold.")
]
Json = Annotated[Path, typer.Option("--json", help="Where the report goes.")]
Baseline = Annotated[str | None, typer.Option(help="A model to compare with, measured in the same run.")]
MinFace = Annotated[float | None, typer.Option(min=12, help="As LIKENESS_MIN_FACE; without it as the service does.")]
Memory = Annotated[
    Path | None, typer.Option(file_okay=False, help="Folder that remembers where the faces of photos are.")
]
MODELS = Path("models")


@cli.command("lfw")
def evaluate_lfw(
    images: Images,
    pairs: Pairs,
    model: ModelId,
    json_: Json,
    plot: Annotated[Path | None, typer.Option(help="Where a PNG of DET and ROC goes, and a CSV beside it.")] = None,
    errors: Annotated[Path | None, typer.Option(help="Where a PNG of the worst errors goes.")] = None,
    groups_: Annotated[
        Path | None, typer.Option("--groups", exists=True, help="CSV path,group: rates of each; paths below --images.")
    ] = None,
    baseline: Baseline = None,
    min_face: MinFace = None,
    memory: Memory = None,
    models_dir: ModelsDir = MODELS,
) -> None:
    """LFW's protocol, or any list of pairs, and all pairs, through the served pipeline, clean and degraded."""
    finder = FaceFinder(models_dir, memory=memory, options=cascade_options(min_face))
    task = Task.open(images, pairs, finder)
    report = evaluate.lfw(
        task,
        folder(models_dir, model),
        folder(models_dir, baseline) if baseline else None,
        groups=groups.from_csv(groups_, images) if groups_ else None,
        errors=errors,
    )
    evaluate.write(report, json_, plot)
    typer.echo(evaluation_summary.summary(report))


@cli.command("cohorts")
def evaluate_cohorts(
    model: ModelId,
    json_: Json,
    images: Annotated[Path | None, typer.Option(exists=True, file_okay=False, help="One folder a cohort.")] = None,
    csv: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="path,group (and person), paths below its folder.")
    ] = None,
    fmr: Annotated[float, typer.Option(min=0, max=1, help="At the threshold that the model promises it by.")] = 1e-4,
    threshold: Annotated[float | None, typer.Option(min=0, max=4, help="At this one instead.")] = None,
    same_person: Annotated[
        float, typer.Option(min=0, max=4, help="Photos nearer than this are one person's, where nothing says who.")
    ] = SAME_PERSON,
    only: Annotated[list[str] | None, typer.Option(help="Cohorts named like this: '*_young'. Repeatable.")] = None,
    baseline: Baseline = None,
    memory: Memory = None,
    models_dir: ModelsDir = MODELS,
) -> None:
    """False matches among strangers of one cohort, and between cohorts."""
    if (images is None) == (csv is None):
        raise TrainingError("want --images or --csv")
    grouped = groups.from_folders(images) if images else groups.from_csv(Path(str(csv)))
    asked = cohort_report.Asked(threshold, fmr, tuple(only or ()), same_person)
    other = folder(models_dir, baseline) if baseline else None
    finder = FaceFinder(models_dir, memory=memory)
    report = cohort_report.run(grouped, folder(models_dir, model), other, asked, finder)
    _write(report, json_)
    typer.echo(cohort_report.summary(report))


@cli.command("sensitivity")
def evaluate_sensitivity(
    images: Images,
    pairs: Pairs,
    model: ModelId,
    json_: Json,
    quality: Annotated[list[int] | None, typer.Option(min=1, max=100, help="JPEG quality. Repeatable.")] = None,
    face: Annotated[list[int] | None, typer.Option(min=12, help="Width of the face in pixels. Repeatable.")] = None,
    memory: Memory = None,
    models_dir: ModelsDir = MODELS,
) -> None:
    """VAL by JPEG quality and by the size of the face (FaceNet, table 4), detection included."""
    finder = FaceFinder(models_dir, memory=memory)
    wanted = sensitivity.conditions(quality or sensitivity.QUALITIES, face or sensitivity.SIZES)
    task = Task.open(images, pairs, finder)
    report = sensitivity.run(task, ServedModel.open(folder(models_dir, model)), finder, wanted)
    _write(report, json_)
    typer.echo(sensitivity.summary(report))


@cli.command("cuts")
def evaluate_cuts(
    images: Annotated[Path, typer.Option(exists=True, file_okay=False, help="One folder of whole photos a person.")],
    cohorts: Annotated[Path, typer.Option(exists=True, file_okay=False, help="One folder of cut photos a cohort.")],
    model: ModelId,
    json_: Json,
    only: Annotated[list[str] | None, typer.Option(help="Cohorts named like this: '*_young'. Repeatable.")] = None,
    memory: Memory = None,
    models_dir: ModelsDir = MODELS,
) -> None:
    """Through what a tight cut raises error rates: missing pixels, wrong landmarks, or people who are alike."""
    asked, served = cohort_report.Asked(only=tuple(only or ())), ServedModel.open(folder(models_dir, model))
    grouped, finder = asked.chosen(groups.from_folders(cohorts)), FaceFinder(models_dir, memory=memory)
    threshold, ways = asked.threshold_of(served), cuts.finders(models_dir)
    report = cuts_report.run(images, grouped, served, threshold, finder, ways)
    _write(report, json_)
    typer.echo(cuts_report.summary(report))


@cli.command("finding")
def evaluate_finding(
    images: Annotated[Path, typer.Option(exists=True, file_okay=False, help="Photos, in folders or not.")],
    json_: Json,
    every: Annotated[int, typer.Option(min=1, help="Of so many photos one.")] = 1,
    models_dir: ModelsDir = MODELS,
) -> None:
    """Whom the service's way of looking does not find, beside facenet-pytorch's, in photos as they are and changed."""
    report = finding.run(images, models_dir, every)
    _write(report, json_)
    typer.echo(finding.summary(report))


def folder(models_dir: Path, name: str) -> Path:
    return Path(name) if "/" in name else models_dir / name


def _write(report: dict[str, Any], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n")
