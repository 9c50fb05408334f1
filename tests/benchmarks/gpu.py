"""
Measure on a GPU: `python -m tests.benchmarks.gpu`; tests/benchmarks/gpu.sh installs what that needs.

Faces embedded a second, milliseconds to detect, `/verify` a second with enough clients, and whether the GPU's memory
stays flat. With `--provider cpu` the same, of this process's memory: a rehearsal that needs no GPU.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console

from app.bootstrap.models import open_models
from app.domain.errors import StartError
from app.domain.faces import AlignedCrop
from app.inference.session import Provider
from app.services.container import Models
from app.settings import Settings
from tests.benchmarks import memory, photos
from tests.benchmarks.machine import Machine, commit
from tests.benchmarks.measure import Contestant, Effort, Laps, race
from tests.benchmarks.report import Report, Row, publish
from tests.benchmarks.served import Served, load, verify
from tests.support.server import REPOSITORY, ServerFailed

BATCHES = (1, 8, 64)
CLIENTS = (1, 8, 32)
CLAIMED = 820.0
"""Images a second that InsightFace-REST claims on an RTX 4090."""
NOTE = (
    f"an image is decoded, searched for faces and embedded; a `/verify` has two. InsightFace-REST claims {CLAIMED:g} "
    "images a second on an RTX 4090."
)


class NoGpu(Exception):
    """nvidia-smi is missing, or lists no GPU."""


@dataclass(frozen=True, slots=True)
class Trial(Effort):
    provider: Provider = "cuda"


def rows(trial: Trial) -> Iterator[Row]:
    """Raises StartError where the provider cannot be used."""
    settings = Settings(models_dir=REPOSITORY / "models", provider=trial.provider, _env_file=None)
    models = open_models(settings)
    yield from embedding(models, trial)
    yield from detection(models, trial)
    with tempfile.TemporaryDirectory() as folder, served(Path(folder), trial) as service:
        yield verified(service, trial)
        read = service.resident if trial.provider == "cpu" else used_memory
        samples = memory.watched(service, trial.requests, read)
    yield replace(memory.growth(samples, trial.requests), stage=f"memory of the {device(trial)}")


def served(folder: Path, trial: Trial) -> Served:
    """Return a server with room for every client."""
    return Served(folder, provider=trial.provider, LIKENESS_MAX_WAITING=str(4 * max(CLIENTS)))


def device(trial: Trial) -> str:
    return "process" if trial.provider == "cpu" else "GPU"


def embedding(models: Models, trial: Trial) -> Iterator[Row]:
    size = models.embedder_manifest.crop_size
    pixels = np.random.default_rng(0).integers(0, 256, (max(BATCHES), size, size, 3), np.uint8)
    crops = [AlignedCrop(each, inside=1.0) for each in pixels]
    for batch in BATCHES:
        laps = timed(partial(models.embedder.embed, crops[:batch]), trial)
        case = f"{models.embedder_manifest.id}, batch {batch}, {trial.provider}"
        yield Row("embed", case, batch / float(np.median(laps.wall)), "faces/s", ours=laps.time())


def detection(models: Models, trial: Trial) -> Iterator[Row]:
    for name, photo in photos.to_detect().items():
        laps = timed(partial(models.detector.detect, photo), trial)
        yield Row("detect", f"{name}, {trial.provider}", laps.time().wall_ms, "ms", ours=laps.time())


def timed(call: Callable[[], object], trial: Trial) -> Laps:
    return race({"ours": Contestant(call)}, trial.pace)["ours"]


def verified(service: Served, trial: Trial) -> Row:
    """Return the throughput with the best number of clients."""
    question = verify(photos.pair())
    loads = {clients: load(service, question, clients, trial.seconds) for clients in CLIENTS}
    if others := [each for one in loads.values() for each in one.others()]:
        raise ServerFailed(f"{len(others)} requests failed: {others[0]}")
    best = max(loads, key=lambda clients: loads[clients].throughput())
    rate = loads[best].throughput()
    case = f"two photos of 1024x768, {best} clients, {trial.provider}"
    means = f"InsightFace-REST's claim ({rate:.1f} /verify, {2 * rate:.1f} images a second)"
    return Row("/verify", case, 2 * rate / CLAIMED, means=means, note=NOTE)


def used_memory() -> int:
    """Return the used memory of the first GPU in bytes. Raises NoGpu."""
    return int(_asked("memory.used", "nounits").splitlines()[0]) * 2**20


def gpu_name() -> str:
    """Return the name of the first GPU, with its memory and driver. Raises NoGpu."""
    return _asked("name,memory.total,driver_version").splitlines()[0]


def _asked(what: str, *formats: str) -> str:
    command = ["nvidia-smi", f"--query-gpu={what}", f"--format={','.join(['csv', 'noheader', *formats])}"]
    try:
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        raise NoGpu(f"expected an NVIDIA GPU, but nvidia-smi fails: {error}") from error
    if not output:
        raise NoGpu("expected an NVIDIA GPU, but nvidia-smi lists none")
    return output


def main(
    provider: Annotated[str, typer.Option(help="cuda, tensorrt or cpu.")] = "cuda",
    json: Annotated[Path | None, typer.Option(help="Where the report goes.")] = None,
    seconds: Annotated[float, typer.Option(min=0.0, help="For each measurement.")] = 8.0,
    requests: Annotated[int, typer.Option(min=2, help="While memory is watched.")] = 2000,
) -> None:
    """Measure on a GPU, and print the table."""
    try:
        report = measured(Trial(seconds, requests, provider=Settings(provider=provider, _env_file=None).provider))
    except (NoGpu, StartError, ServerFailed) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from error
    console = Console(width=200 if not sys.stdout.isatty() else None)
    raise typer.Exit(publish(report, console, json))


def measured(trial: Trial) -> Report:
    """Raises NoGpu, StartError or ServerFailed."""
    machine = Machine.this(gpu="" if trial.provider == "cpu" else gpu_name())
    return Report(
        date=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        commit=commit(),
        command=f"tests/benchmarks/gpu.sh {' '.join(sys.argv[1:])}".strip(),
        machine=machine,
        rows=tuple(rows(trial)),
    )


if __name__ == "__main__":
    typer.run(main)
