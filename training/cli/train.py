"""The commands from photos to weights: prepare, pack, train, blend."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from training.cli.options import MODELS, MinFace, ModelsDir, People
from training.config import loading
from training.data.shard_writer import write_shards
from training.engine import trainer, weight_interpolation
from training.engine.distributed import is_main_process
from training.errors import TrainingError
from training.networks.registry import crop_size_of
from training.pipeline import prepare

NETWORK = "mobilefacenet"
cli = typer.Typer()


@cli.command("prepare")
def prepare_(
    images: People,
    output: Annotated[Path, typer.Option(help="The folder of aligned crops to write.")],
    network: Annotated[str, typer.Option(help="The network to train: its crops are aligned at its size.")] = NETWORK,
    suffix: Annotated[
        prepare.Suffix, typer.Option("--format", help="png keeps every pixel; jpg is a quarter as large.")
    ] = "png",
    min_face: MinFace = None,
    models_dir: ModelsDir = MODELS,
) -> None:
    """Align photos by the served detector: crops with a margin, one folder per person. May be run again."""
    size = crop_size_of(network)
    counts = prepare.run(images, output, models_dir, size=size, suffix=suffix, min_face=min_face)
    typer.echo(
        f"{counts['photos']} photos, {counts['already_there']} done before, {counts['skipped']} skipped "
        f"(reasons in {output / prepare.REPORT})"
    )


@cli.command("train")
def train_(
    toml: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="A TOML file, such as those in training/config/presets.")
    ],
    output: Annotated[
        Path | None, typer.Option(help="The folder of the run; by default runs/ and the date and time.")
    ] = None,
    resume: Annotated[bool, typer.Option(help="Go on from the last checkpoint there.")] = False,  # noqa: FBT002
    set_: Annotated[list[str] | None, typer.Option("--set", help="Replace a key: --set optimizer.steps=10")] = None,
) -> None:
    """Train a network."""
    if output is None and (resume or int(os.environ.get("WORLD_SIZE", "1")) > 1):
        raise TrainingError("expected --output with --resume, and where several processes train one network")
    folder = output or Path("runs") / datetime.now().strftime("%Y%m%d-%H%M%S")
    path = trainer.train(loading.load(toml, set_ or ()), folder, resume=resume)
    if is_main_process():
        typer.echo(f"weights in {path}")


@cli.command()
def pack(
    roots: Annotated[
        list[Path], typer.Argument(exists=True, help="What data.roots may be: folders, lists, .rec files.")
    ],
    output: Annotated[Path, typer.Option(help="The folder of shards to write.")],
    shard_mb: Annotated[int, typer.Option(min=1, help="Megabytes of images in a shard.")] = 256,
) -> None:
    """Pack crops into tar shards (WebDataset's form): few large files instead of millions of small ones."""
    shards = write_shards(roots, output, shard_bytes=shard_mb << 20)
    typer.echo(f"wrote {len(shards)} shards in {output}")


@cli.command()
def blend(
    run: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="The folder of a run that had starting weights.")
    ],
    output: Annotated[Path, typer.Option(help="The folder to write, like that of a run.")],
    share: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the trained weights; the rest is of the starting ones.")
    ],
) -> None:
    """Interpolate between the trained weights and the starting ones."""
    typer.echo(f"weights in {weight_interpolation.interpolate(run, output, share)}")
