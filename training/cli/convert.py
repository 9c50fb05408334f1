"""The commands that serve networks trained elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

from app.faces.alignment import arcface_template
from app.runtime.manifest import BoxAlignment, LandmarkAlignment
from training.errors import TrainingError
from training.export import import_facenet, import_mtcnn, wrap
from training.export.preprocessing import Preprocessing

cli = typer.Typer()

Output = Annotated[Path, typer.Option(help="The model folder to write; its name becomes the model's id.")]
Template: TypeAlias = Literal["arcface-112"]
TEMPLATES = {"arcface-112": arcface_template}


@cli.command("import-mtcnn")
def import_mtcnn_(
    output: Annotated[Path, typer.Option(help="The model folder to write.")] = Path("models/mtcnn"),
    weights: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="pnet.pt, rnet.pt, onet.pt.")
    ] = None,
) -> None:
    """Turn facenet-pytorch's MTCNN weights into the served detector."""
    typer.echo(f"wrote {import_mtcnn.run(output, weights)}")


@cli.command("import-facenet")
def import_facenet_(
    pretrained: Annotated[import_facenet.Pretrained, typer.Option(help="What the published weights were trained on.")],
    output: Output,
    weights: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="The published file, where it was not fetched.")
    ] = None,
) -> None:
    """Turn facenet-pytorch's Inception-ResNet-v1 into a served model of 512 numbers. Then run `calibrate`."""
    typer.echo(f"wrote {import_facenet.run(pretrained, output, weights)}")


@cli.command("wrap")
def wrap_(
    network: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="ONNX: float32 NCHW to a vector.")],
    output: Output,
    license: Annotated[str, typer.Option(help="Under which the model may be used.")],
    size: Annotated[int, typer.Option(min=16, max=1024, help="Side of the network's input, in pixels.")],
    mean: Annotated[str, typer.Option(help="Taken off pixels 0 to 255: one number, or three as 104,117,123.")],
    std: Annotated[str, typer.Option(help="What they are then divided by, likewise.")],
    bgr: Annotated[bool, typer.Option("--bgr", help="It takes blue, green, red; so are mean and std.")] = False,  # noqa: FBT002
    template: Annotated[
        Template | None, typer.Option(help="Where the landmarks fall, scaled to --size; arcface-112 unless --margin.")
    ] = None,
    margin: Annotated[
        int | None, typer.Option(min=0, help="Instead: the detector's box, with so many pixels of --size round it.")
    ] = None,
    vector: Annotated[str | None, typer.Option(help="The output that is meant, where there are several.")] = None,
) -> None:
    """Serve a face embedder that exists as ONNX: preprocessing and L2 go into its graph. Then run `calibrate`."""
    how = Preprocessing(size, wrap.three(mean), wrap.three(std, positive=True), bgr)
    alignment = _alignment(size, template, margin)
    typer.echo(f"wrote {wrap.run(network, output, how, alignment=alignment, vector=vector, license=license)}")


def _alignment(size: int, template: Template | None, margin: int | None) -> LandmarkAlignment | BoxAlignment:
    if margin is None:
        return LandmarkAlignment(template=TEMPLATES[template or "arcface-112"](size))
    if template:
        raise TrainingError("want --template or --margin, not both: a crop is cut by landmarks or by its box")
    return BoxAlignment(margin=margin)
