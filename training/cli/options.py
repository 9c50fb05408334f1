"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

MODELS = Path("models")

ModelsDir = Annotated[Path, typer.Option(help="The folder of model folders.")]
ModelId = Annotated[str, typer.Option(help="A folder in --models-dir, or the path of one.")]
People = Annotated[Path, typer.Option(exists=True, file_okay=False, help="Photos, one folder per person.")]
Photos = Annotated[Path, typer.Option(exists=True, file_okay=False, help="The folder of photos.")]
Pairs = Annotated[
    Path,
    typer.Option(
        exists=True,
        dir_okay=False,
        help="The pairs of LFW, CFP, AgeDB, CALFW or CPLFW, or a CSV first,second,same,fold.",
    ),
]
Report = Annotated[Path, typer.Option("--json", help="The report to write.")]
Baseline = Annotated[str | None, typer.Option(help="A model to compare with, measured in the same run.")]
MinFace = Annotated[
    float | None, typer.Option(min=12, help="As LIKENESS_MIN_FACE; the default is that of the service.")
]
Cache = Annotated[Path | None, typer.Option(file_okay=False, help="A folder to cache faces and vectors.")]
Output = Annotated[Path, typer.Option(help="The model folder to write; its name becomes the model's id.")]


def model_folder(models_dir: Path, model: str) -> Path:
    return Path(model) if "/" in model else models_dir / model
