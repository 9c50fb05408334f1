"""
`python -m tests.benchmarks.loader CROPS`: views per second of CPU time that training makes of aligned crops.

From folders, shards and a .rec file of the same crops, by a thread and by a process, in turn. Processes count too.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from multiprocessing import forkserver
from pathlib import Path
from typing import Annotated, Literal

import typer

from tests.support.records import write_people
from training.config.augmentation import AugmentationConfig
from training.data.dataset import FaceSet, read_faces
from training.data.loader import BatchLoader
from training.data.samplers import PeopleSampler
from training.data.shard_writer import write_shards
from training.data.sources import list_people

PEOPLE, FACES = 32, 4
WORKERS: tuple[Literal["threads", "processes"], ...] = ("threads", "processes")


def cpu_seconds() -> float:
    """Return the CPU time of this process and of the processes that made views and have ended."""
    pid = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
    if pid is None:
        return time.process_time()
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return time.process_time() + sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def views_per_cpu_second(faces: FaceSet, workers: Literal["threads", "processes"], batches: int) -> float:
    sampler = PeopleSampler(faces.faces_of, min(PEOPLE, len(faces.names)), FACES, seed=1)
    loader = BatchLoader(faces, sampler, AugmentationConfig(), 1, num_workers=1, workers=workers)
    before = cpu_seconds()
    views = sum(len(batch.views) for _, batch in loader.prefetch(0, batches))
    return views / (cpu_seconds() - before)


def measured(crops: Path, rounds: int, batches: int) -> dict[str, float]:
    """Return the median of each way over rounds, of which one more is not counted: it starts the processes."""
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        shards = Path(folder) / crops.name
        write_shards([crops], shards)
        images = [[file.read_bytes() for file in person.files.values()] for person in list_people(crops)]
        rec = write_people(images, Path(folder) / "train.rec")
        sources = {"folders": read_faces([crops]), "shards": read_faces([shards]), "rec": read_faces([rec])}
        for number in range(rounds + 1):
            for workers in WORKERS:
                for name, faces in sources.items():
                    rate = views_per_cpu_second(faces, workers, batches)
                    found.setdefault(f"{name}, {workers}", []).extend([rate] if number else [])
    return {name: statistics.median(rates) for name, rates in found.items()}


def main(
    crops: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Crops, one folder per person.")],
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of each way, in turn.")] = 6,
    batches: Annotated[int, typer.Option(min=1, help="Batches of 128 views in a round.")] = 10,
) -> None:
    """Print views per CPU-second."""
    for name, rate in measured(crops, rounds, batches).items():
        typer.echo(f"{name}: {rate:,.0f} views per CPU-second")


if __name__ == "__main__":
    typer.run(main)
