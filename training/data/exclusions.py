"""Files that are left out of training: lists that `python -m training clean` writes, or that are written by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from training.data.sources import PersonFiles
from training.errors import TrainingError


class UnusableExclusions(TrainingError):
    """A list of excluded files cannot be read."""


@dataclass(frozen=True, slots=True)
class Exclusions:
    """The excluded files, each named root/folder/file as in `FaceSet.files`."""

    files: frozenset[str] = frozenset()

    @classmethod
    def read(cls, lists: Sequence[Path]) -> Exclusions:
        """Read JSON with the key `exclude`, or text with a file in each line. Raises UnusableExclusions."""
        return cls(frozenset(file for path in lists for file in _read(path)))

    def applied(self, people: list[PersonFiles]) -> list[PersonFiles]:
        """Return the people without the excluded files. Raises UnusableExclusions if there is not one of them."""
        kept = [self._kept(person) for person in people]
        if self.files and sum(len(person.files) for person in kept) == sum(len(person.files) for person in people):
            raise UnusableExclusions(
                f"none of the {len(self.files)} excluded files is there, such as {min(self.files)}: "
                f"expected names like {_example(people)}"
            )
        return kept

    def _kept(self, person: PersonFiles) -> PersonFiles:
        kept = {name: path for name, path in person.files.items() if f"{person.name}/{name}" not in self.files}
        return replace(person, files=kept)


NOTHING = Exclusions()


def _example(people: list[PersonFiles]) -> str:
    return next((f"{person.name}/{name}" for person in people for name in person.files), "root/folder/file")


def _read(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8")
        files = json.loads(text)["exclude"] if path.suffix == ".json" else text.splitlines()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnusableExclusions(
            f"{path}: expected JSON with the key exclude, or a file in each line: {error}"
        ) from error
    if not (isinstance(files, list) and all(isinstance(file, str) for file in files)):
        raise UnusableExclusions(f"{path}: expected a list of files under the key exclude")
    return [file for file in files if file]
