"""The commands below `evaluate` that run standard benchmarks: bin, templates, table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from training.cli.options import MODELS, Cache, ModelId, ModelsDir, Photos, Report, model_folder
from training.evaluation import bin_benchmarks, results_table, templates

cli = typer.Typer()


@cli.command("bin")
def evaluate_bin(
    files: Annotated[
        list[Path], typer.Argument(exists=True, dir_okay=False, help="InsightFace's lfw.bin, cfp_fp.bin and the like.")
    ],
    model: ModelId,
    report_path: Report,
    cache: Cache = None,
    models_dir: ModelsDir = MODELS,
) -> None:
    """Accuracy over ten folds, and TAR at FAR, on InsightFace's verification files."""
    report = bin_benchmarks.run(files, model_folder(models_dir, model), cache)
    _write(report, report_path)
    typer.echo(bin_benchmarks.summary(report))


@cli.command("templates")
def evaluate_templates(
    images: Photos,
    faces: Annotated[
        Path, typer.Option(exists=True, dir_okay=False, help="Lines `image x1 y1 ... x5 y5 score` (name_5pts_score).")
    ],
    media: Annotated[
        Path, typer.Option(exists=True, dir_okay=False, help="Lines `image template medium` (face_tid_mid).")
    ],
    model: ModelId,
    report_path: Report,
    pairs: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="1:1: lines `template template 1` (template_pair_label)."),
    ] = None,
    gallery: Annotated[
        list[Path] | None,
        typer.Option(exists=True, dir_okay=False, help="1:N: ijbc_1N_gallery_G1.csv. Repeatable, for G2."),
    ] = None,
    probes: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="1:N: ijbc_1N_probe_mixed.csv.")
    ] = None,
    equal_weights: Annotated[  # noqa: FBT002
        bool, typer.Option("--equal-weights", help="Ignore the detection scores, by which faces count otherwise.")
    ] = False,
    cache: Cache = None,
    models_dir: ModelsDir = MODELS,
) -> None:
    """TAR at FAR, rank k and TPIR at FPIR of templates of several photos: the protocols of IJB-B and IJB-C."""
    task = templates.read_task(faces, media, pairs, gallery or (), probes)
    folder = model_folder(models_dir, model)
    report = templates.run(task, images, folder, use_scores=not equal_weights, cache=cache)
    _write(report, report_path)
    typer.echo(templates.summary(report))


@cli.command("table")
def evaluate_table(
    reports: Annotated[
        list[Path], typer.Argument(exists=True, dir_okay=False, help="Reports of bin, templates and lfw.")
    ],
    output: Annotated[Path | None, typer.Option(help="The Markdown file to write; by default it is printed.")] = None,
) -> None:
    """Make a Markdown table of reports, with a row for each model."""
    text = results_table.table(reports)
    if output:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text, encoding="utf-8")
    typer.echo(f"wrote {output}" if output else text.rstrip())


def _write(report: dict[str, Any], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
