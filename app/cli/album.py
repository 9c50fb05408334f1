"""A folder of photos to group, and what `likeness cluster` says and writes about its groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.api import responses
from app.cli.folders import check_output, write_folders
from app.cli.output import ERROR, SUCCESS, CommandError, Result
from app.cli.sentences import bound_of_groups
from app.matching.pairwise_scores import PairwiseScores, pairwise_scores


@dataclass(frozen=True)
class Grouping:
    """The groups of photos by person, largest first, the threshold that decided, and the rejected photos."""

    groups: Sequence[Sequence[Path]]
    threshold: responses.ThresholdOut
    rejected: Sequence[dict[str, str]]

    def document(self) -> dict[str, Any]:
        return {
            "groups": [[str(photo) for photo in group] for group in self.groups],
            "rejected": list(self.rejected),
            "threshold": self.threshold.model_dump(),
        }

    def text(self) -> str:
        repeated = [group for group in self.groups if len(group) > 1]
        lines = [f"{each['file']}: {each['detail']}" for each in self.rejected]
        lines += [f"person {number}: {len(group)} photos" for number, group in enumerate(repeated, start=1)]
        lines.append(
            f"{sum(map(len, self.groups))} photos: {len(repeated)} people in several photos, "
            f"{len(self.groups) - len(repeated)} in one photo each, {len(self.rejected)} rejected"
        )
        lines += [bound_of_groups(self.threshold)] if self.groups else []
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Album:
    """The photos of `folder`. With `truth`, its folders are people, and groups are compared with them."""

    folder: Path
    output: Path | None
    copy: bool
    truth: bool

    def photos(self) -> list[Path]:
        """Return every file at any depth, except hidden ones. Raises CommandError, also for what cannot be written."""
        found = [
            path
            for path in sorted(self.folder.rglob("*"))
            if path.is_file() and not any(part.startswith(".") for part in path.relative_to(self.folder).parts)
        ]
        if not found:
            raise CommandError(f"no photos in {self.folder}")
        if self.truth and (loose := [path for path in found if path.parent == self.folder]):
            raise CommandError(f"expected one folder per person in {self.folder} for --truth, got {loose[0]}")
        if self.output:
            check_output(self.output, self.folder)
        return found

    def result(self, found: Grouping) -> Result:
        """Write the folders, if that was asked for, and return what the command says."""
        if self.output:
            write_folders(found.groups, self.folder, self.output, copy=self.copy)
        document, text = found.document(), found.text()
        if self.truth and found.groups:
            agreement = self._agreement(found.groups)
            document["truth"] = _document(agreement)
            text += (
                f"\nprecision {agreement.precision:.4f} (pairs in one group that are one person), "
                f"recall {agreement.recall:.4f} (pairs of one person that are in one group)"
            )
        return SUCCESS if found.groups else ERROR, document, text

    def _agreement(self, groups: Sequence[Sequence[Path]]) -> PairwiseScores:
        labels = [number for number, group in enumerate(groups) for _ in group]
        people = [photo.relative_to(self.folder).parts[0] for group in groups for photo in group]
        return pairwise_scores(labels, people)


def _document(agreement: PairwiseScores) -> dict[str, Any]:
    return {
        "precision": agreement.precision,
        "recall": agreement.recall,
        "pairs_together": agreement.grouped,
        "pairs_of_one_person": agreement.same_person,
    }
