"""The images of a run: to train on, held out, and the pairs of its validation."""

from pathlib import Path

from training.config.schema import TrainConfig
from training.data.dataset import CropFormat, FaceSet
from training.data.file_index import FileIndex
from training.data.splits import split
from training.engine.console import console
from training.engine.pairs_validation import PairsValidation, open_pairs

INDEX = "faces.index"


def read_faces(config: TrainConfig, output: Path, crops: CropFormat) -> tuple[FaceSet, FaceSet | None]:
    """Return the faces to train on and the held-out ones; the next start reads only what is not in the index."""
    index = FileIndex.open(config.data.index or output / INDEX)
    with console.status("reading the faces"):
        faces, held_out = split(config, index, crops)
    index.write()
    console.print(f"{len(faces)} faces of {len(faces.names)} people")
    if held_out is not None:
        console.print(f"{len(held_out)} faces of {len(held_out.names)} people held out")
    for skip in faces.skipped:
        console.print(f"skipped {skip.path}: {skip.reason}")
    return faces, held_out


def find_pairs(config: TrainConfig, output: Path, size: int) -> PairsValidation | None:
    with console.status("finding the faces of the pairs"):
        return open_pairs(config.evaluation, config.optimizer.steps, output, size)
