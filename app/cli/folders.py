"""Sort photos into folders, as links or copies; the photos themselves stay where they are."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from app.cli.output import CommandError

ALONE = "alone"


def check_output(output: Path, source: Path) -> None:
    """Raises CommandError if `output` is not empty, or lies in `source`, where the next run would read its photos."""
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise CommandError(f"expected an empty or new folder for --output, got {output}")
    if output.resolve().is_relative_to(source.resolve()):
        raise CommandError(f"expected --output outside of {source}, got {output}")


def write_folders(groups: Sequence[Sequence[Path]], source: Path, output: Path, *, copy: bool) -> None:
    """Write `person-0001` and so on for groups of several photos, and `alone` for single photos."""
    for number, group in enumerate(groups, start=1):
        folder = output / (f"person-{number:04d}" if len(group) > 1 else ALONE)
        folder.mkdir(parents=True, exist_ok=True)
        for photo in group:
            _put(photo, _free(folder / "-".join(photo.relative_to(source).parts)), copy=copy)


def _put(photo: Path, target: Path, *, copy: bool) -> None:
    if copy:
        shutil.copy2(photo, target)
    else:
        target.symlink_to(photo.resolve())


def _free(path: Path) -> Path:
    """Return `path`, or with a number if a file of that name exists."""
    free, number = path, 1
    while free.exists() or free.is_symlink():
        number += 1
        free = path.with_stem(f"{path.stem}-{number}")
    return free
