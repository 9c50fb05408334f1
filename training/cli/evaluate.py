"""The commands below `evaluate`, which measure the served pipeline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from app.faces.detector.mtcnn import cascade_options
from training.cli.options import (
    MODELS,
    Baseline,
    Cache,
    MinFace,
    ModelId,
    ModelsDir,
    Pairs,
    People,
    Photos,
    Report,
    model_folder,
)
from training.data import photo_groups
from training.errors import TrainingError
from training.evaluation import (
    cropping_report,
    demographics_report,
    detection_recall,
    lfw,
    orientation_report,
    pad,
    robustness,
    summary,
)
from training.evaluation.cropping import landmark_finders
from training.evaluation.demographics import SAME_PERSON
from training.evaluation.demographics_report import CohortQuery
from training.evaluation.verification import VerificationTask
from training.pipeline.detection_cache import FaceFinder
from training.pipeline.served_model import ServedModel

cli = typer.Typer(no_args_is_help=True, help="Measure the served pipeline.")

Only = Annotated[list[str] | None, typer.Option(help="Use cohorts with such names: '*_young'. Repeatable.")]


@cli.command("lfw")
def evaluate_lfw(
    images: Photos,
    pairs: Pairs,
    model: ModelId,
    report_path: Report,
    plot: Annotated[Path | None, typer.Option(help="A PNG of DET and ROC to write, with a CSV beside it.")] = None,
    errors: Annotated[Path | None, typer.Option(help="A PNG of the worst errors to write.")] = None,
    groups: Annotated[
        Path | None, typer.Option(exists=True, help="CSV path,group to report the rates of; paths below --images.")
    ] = None,
    baseline: Baseline = None,
    min_face: MinFace = None,
    cache: Cache = None,
    models_dir: ModelsDir = MODELS,
) -> None:
    """LFW's protocol, or any list of pairs, and all pairs, through the served pipeline, clean and degraded."""
    finder = FaceFinder(models_dir, cache=cache, options=cascade_options(min_face))
    task = VerificationTask.open(images, pairs, finder)
    report = lfw.run(
        task,
        model_folder(models_dir, model),
        model_folder(models_dir, baseline) if baseline else None,
        groups=photo_groups.from_csv(groups, images) if groups else None,
        errors=errors,
        cache=cache,
    )
    lfw.write(report, report_path, plot)
    typer.echo(summary.summary(report))


@cli.command("cohorts")
def evaluate_cohorts(
    model: ModelId,
    report_path: Report,
    images: Annotated[Path | None, typer.Option(exists=True, file_okay=False, help="One folder per cohort.")] = None,
    csv: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="path,group (and person), paths below its folder.")
    ] = None,
    fmr: Annotated[float, typer.Option(min=0, max=1, help="Use the calibrated threshold of this FMR.")] = 1e-4,
    threshold: Annotated[float | None, typer.Option(min=0, max=4, help="Use this base threshold instead.")] = None,
    same_person: Annotated[
        float, typer.Option(min=0, max=4, help="Closer photos are of one person, if the people are not known.")
    ] = SAME_PERSON,
    only: Only = None,
    views: Annotated[  # noqa: FBT002
        bool, typer.Option("--views", help="Also compare each photo with a degraded copy: a lower bound of the FNMR.")
    ] = False,
    baseline: Baseline = None,
    cache: Cache = None,
    models_dir: ModelsDir = MODELS,
) -> None:
    """False matches within each cohort, and between cohorts."""
    if (images is None) == (csv is None):
        raise TrainingError("expected either --images or --csv")
    cohorts = photo_groups.from_folders(images) if images else photo_groups.from_csv(Path(str(csv)))
    query = CohortQuery(threshold, fmr, tuple(only or ()), same_person, views)
    other = model_folder(models_dir, baseline) if baseline else None
    finder = FaceFinder(models_dir, cache=cache)
    report = demographics_report.run(cohorts, model_folder(models_dir, model), other, query, finder, cache)
    _write(report, report_path)
    typer.echo(demographics_report.summary(report))


@cli.command("sensitivity")
def evaluate_sensitivity(
    images: Photos,
    pairs: Pairs,
    model: ModelId,
    report_path: Report,
    quality: Annotated[list[int] | None, typer.Option(min=1, max=100, help="JPEG quality. Repeatable.")] = None,
    face: Annotated[list[int] | None, typer.Option(min=12, help="Width of the face in pixels. Repeatable.")] = None,
    cache: Cache = None,
    models_dir: ModelsDir = MODELS,
) -> None:
    """VAL by JPEG quality and by the size of the face (FaceNet, table 4), detection included."""
    finder = FaceFinder(models_dir, cache=cache)
    conditions = robustness.conditions(quality or robustness.QUALITIES, face or robustness.SIZES)
    task = VerificationTask.open(images, pairs, finder)
    report = robustness.run(task, ServedModel.open(model_folder(models_dir, model), cache), finder, conditions)
    _write(report, report_path)
    typer.echo(robustness.summary(report))


@cli.command("cropping")
def evaluate_cropping(
    images: People,
    cohorts: Annotated[
        Path, typer.Option(exists=True, file_okay=False, help="Tightly cropped photos, one folder per cohort.")
    ],
    model: ModelId,
    report_path: Report,
    only: Only = None,
    cache: Cache = None,
    models_dir: ModelsDir = MODELS,
) -> None:
    """Why tightly cropped photos have higher error rates: missing pixels, wrong landmarks, or people who look alike."""
    query, served = CohortQuery(only=tuple(only or ())), ServedModel.open(model_folder(models_dir, model), cache)
    groups, finder = query.select(photo_groups.from_folders(cohorts)), FaceFinder(models_dir, cache=cache)
    report = cropping_report.run(
        images, groups, served, query.threshold_of(served), finder, landmark_finders(models_dir)
    )
    _write(report, report_path)
    typer.echo(cropping_report.summary(report))


@cli.command("detection-recall")
def evaluate_detection_recall(
    images: Photos,
    report_path: Report,
    every: Annotated[int, typer.Option(min=1, help="Use one photo of so many.")] = 1,
    models_dir: ModelsDir = MODELS,
) -> None:
    """The faces that the served detector misses, beside facenet-pytorch's, in photos as they are and changed."""
    report = detection_recall.run(images, models_dir, every)
    _write(report, report_path)
    typer.echo(detection_recall.summary(report))


@cli.command("orientation")
def evaluate_orientation(
    images: Photos,
    report_path: Report,
    every: Annotated[int, typer.Option(min=1, help="Use one photo of so many.")] = 1,
    models_dir: ModelsDir = MODELS,
) -> None:
    """Count the photos, turned by 90, 180 and 270 degrees without EXIF, that are turned back."""
    report = orientation_report.run(images, models_dir, every)
    _write(report, report_path)
    typer.echo(orientation_report.summary(report))


@cli.command("pad")
def evaluate_pad(
    images: Annotated[
        Path,
        typer.Option(exists=True, file_okay=False, help="Photos in live/ and in spoof/ or attack/, or spoof/TYPE/."),
    ],
    report_path: Report,
    model: ModelId = "pad",
    threshold: Annotated[float, typer.Option(min=0, max=1, help="As LIKENESS_LIVENESS_THRESHOLD.")] = 0.5,
    all_live: Annotated[  # noqa: FBT002
        bool, typer.Option("--all-live", help="All photos are of live faces: measure BPCER alone.")
    ] = False,
    every: Annotated[int, typer.Option(min=1, help="Use one photo of so many.")] = 1,
    models_dir: ModelsDir = MODELS,
) -> None:
    """How often pictures of faces pass as live (APCER), and live faces do not (BPCER), by ISO/IEC 30107-3."""
    folder = model_folder(models_dir, model)
    report = pad.run(images, models_dir, folder, threshold, all_live=all_live, every=every)
    _write(report, report_path)
    typer.echo(pad.summary(report))


def _write(report: dict[str, Any], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n")
