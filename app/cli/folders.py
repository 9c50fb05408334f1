"""Photos sorted into folders, as links or copies; the photos themselves stay where they are."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from app.cli.output import CommandError

ALONE = "alone"


def check_output(output: Path, source: Path) -> None:
    """Raises CommandError where folders there would mix with what is there, or be read as photos the next time."""
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise CommandError(f"want an empty or a new folder for --output, got {output}")
    if output.resolve().is_relative_to(source.resolve()):
        raise CommandError(f"want --output outside of {source}, got {output}")


def write_folders(groups: Sequence[Sequence[Path]], source: Path, output: Path, *, copy: bool) -> None:
    """`person-0001` and so on for groups of several photos of `source`, `alone` for the others."""
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
    """The path, or the first one like it that is not taken."""
    taken, number = path, 1
    while taken.exists() or taken.is_symlink():
        number += 1
        taken = path.with_stem(f"{path.stem}-{number}")
    return taken
