"""The command offset."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from training.cli.options import MODELS, Cache, ModelId, ModelsDir, model_folder
from training.offset import command
from training.offset.fit import OffsetOptions

cli = typer.Typer()
DEFAULTS = OffsetOptions()


@cli.command()
def offset(
    model: ModelId,
    crowd: Annotated[
        list[Path],
        typer.Option(exists=True, file_okay=False, help="Photos of strangers, one each, diverse. Repeatable."),
    ],
    extra: Annotated[
        list[Path] | None,
        typer.Option(
            exists=True, file_okay=False, help="Your own people: one folder each (its first photo counts). Repeatable."
        ),
    ] = None,
    fit_at: Annotated[
        list[Path] | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="Photos of other people: they are not of the crowd, but their offsets are fitted too. Repeatable.",
        ),
    ] = None,
    nearest: Annotated[int, typer.Option(min=1, help="The nearest of the crowd that count.")] = DEFAULTS.nearest,
    strength: Annotated[
        float, typer.Option(min=0, max=1, help="Tighten more: fewer false matches in cohorts, more misses.")
    ] = DEFAULTS.strength,
    seed: Annotated[int, typer.Option(min=0)] = DEFAULTS.seed,
    report_path: Annotated[Path | None, typer.Option("--json", help="The report to write.")] = None,
    cache: Cache = None,
    models_dir: ModelsDir = MODELS,
) -> None:
    """Fit the threshold offsets of a model: tighter thresholds where many people look alike. Then run `calibrate`."""
    options = OffsetOptions(nearest=nearest, strength=strength, seed=seed)
    folder = model_folder(models_dir, model)
    report = command.run(folder, crowd, extra or [], fit_at or [], models_dir, options, cache)
    if report_path:
        report_path.parent.mkdir(parents=True, exist_ok=True)
        report_path.write_text(json.dumps(report, indent=2) + "\n")
    typer.echo(command.summary(report))
    typer.echo("now run `calibrate`: thresholds of other offsets are refused")
