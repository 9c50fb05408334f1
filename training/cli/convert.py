"""The commands that make served models of networks trained elsewhere: import-mtcnn, -facenet and -pad, and wrap."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

from app.faces.alignment import arcface_template
from app.inference.manifest import BoxAlignment, LandmarkAlignment
from training.cli.options import Output
from training.errors import TrainingError
from training.export import import_facenet, import_mtcnn, import_pad
from training.export.preprocessing import Preprocessing
from training.export.wrap import parse_channels, wrap_model

cli = typer.Typer()

Template: TypeAlias = Literal["arcface-112"]
TEMPLATES = {"arcface-112": arcface_template}


@cli.command("import-mtcnn")
def import_mtcnn_(
    output: Annotated[Path, typer.Option(help="The model folder to write.")] = Path("models/mtcnn"),
    weights: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="A folder with pnet.pt, rnet.pt and onet.pt.")
    ] = None,
) -> None:
    """Make the served detector of facenet-pytorch's MTCNN weights."""
    typer.echo(f"wrote {import_mtcnn.run(output, weights)}")


@cli.command("import-facenet")
def import_facenet_(
    pretrained: Annotated[import_facenet.Pretrained, typer.Option(help="The training data of the published weights.")],
    output: Output,
    weights: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="The published file, if facenet-pytorch has not downloaded it."),
    ] = None,
) -> None:
    """Make a served model of facenet-pytorch's Inception-ResNet-v1. Then run `calibrate`."""
    typer.echo(f"wrote {import_facenet.run(pretrained, output, weights)}")


@cli.command("import-pad")
def import_pad_(
    weights: Annotated[
        Path, typer.Option(exists=True, file_okay=False, help="The folder of the two published .pth files.")
    ],
    output: Annotated[Path, typer.Option(help="The model folder to write.")] = Path("models/pad"),
) -> None:
    """Make the served liveness model of minivision's MiniFASNet weights."""
    typer.echo(f"wrote {import_pad.run(output, weights)}")


@cli.command()
def wrap(
    network: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="ONNX: float32 NCHW to a vector.")],
    output: Output,
    license_: Annotated[str, typer.Option("--license", help="The license of the model.")],
    size: Annotated[int, typer.Option(min=16, max=1024, help="Side of the network's input, in pixels.")],
    mean: Annotated[str, typer.Option(help="Subtracted from pixels 0 to 255: one number, or three as 104,117,123.")],
    std: Annotated[str, typer.Option(help="The divisor after that: one number, or three.")],
    bgr: Annotated[bool, typer.Option("--bgr", help="Channels, mean and std are blue, green, red.")] = False,  # noqa: FBT002
    template: Annotated[
        Template | None,
        typer.Option(help="Positions of the landmarks, scaled to --size; arcface-112 unless --margin is given."),
    ] = None,
    margin: Annotated[
        int | None,
        typer.Option(min=0, help="Crop the detector's box instead, with a margin of so many pixels of --size."),
    ] = None,
    vector: Annotated[str | None, typer.Option(help="The output with the vector, if there are several.")] = None,
    origin: Annotated[
        str | None, typer.Option(help="Who made the network, and from which data: for the manifest and the card.")
    ] = None,
) -> None:
    """Make a served model of a face embedder in ONNX: preprocessing and L2 go into its graph. Then run `calibrate`."""
    preprocessing = Preprocessing(size, parse_channels(mean), parse_channels(std, positive=True), bgr)
    alignment = _alignment(size, template, margin)
    path = wrap_model(
        network, output, preprocessing, alignment=alignment, vector=vector, license_=license_, origin=origin
    )
    typer.echo(f"wrote {path}")


def _alignment(size: int, template: Template | None, margin: int | None) -> LandmarkAlignment | BoxAlignment:
    if margin is None:
        return LandmarkAlignment(template=TEMPLATES[template or "arcface-112"](size))
    if template:
        raise TrainingError("expected --template or --margin, not both: faces are aligned by landmarks or by their box")
    return BoxAlignment(margin=margin)
