"""Files of records as MXNet writes them, for readers of insightface's train.rec."""

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from training.data.packed_files import MAGIC


def record(labels: list[float], image: bytes, key: int) -> bytes:
    """Return a record as MXNet writes it: cut where the data holds the magic number at a multiple of four bytes."""
    header = struct.pack("<IfQQ", len(labels) if len(labels) > 1 else 0, labels[0] if len(labels) == 1 else 0.0, key, 0)
    data = header + (struct.pack(f"<{len(labels)}f", *labels) if len(labels) > 1 else b"") + image
    magic = struct.pack("<I", MAGIC)
    cuts = [place for place in range(0, len(data) - 3, 4) if data[place : place + 4] == magic]
    starts, ends = [0, *(cut + 4 for cut in cuts)], [*cuts, len(data)]
    kinds = [0] if not cuts else [1, *[2] * (len(cuts) - 1), 3]
    parts = [
        magic + struct.pack("<I", kind << 29 | end - start) + data[start:end] + b"\0" * (-(end - start) % 4)
        for kind, start, end in zip(kinds, starts, ends, strict=True)
    ]
    return b"".join(parts)


def write_records(records: Sequence[bytes], path: Path) -> Path:
    """Write records, whose keys are their numbers, and the .idx beside them."""
    offsets = np.cumsum([0, *map(len, records)])
    path.write_bytes(b"".join(records))
    path.with_suffix(".idx").write_text("".join(f"{key}\t{offsets[key]}\n" for key in range(len(records))))
    return path


def write_people(people: Sequence[Sequence[bytes]], path: Path) -> Path:
    """Write the images of each person as insightface does; record 0 has the key behind the last image."""
    images = [(float(person), image) for person, own in enumerate(people) for image in own]
    records = [record([len(images) + 1.0, 0.0], b"", 0)]
    records += [record([person], image, key) for key, (person, image) in enumerate(images, start=1)]
    return write_records(records, path)
