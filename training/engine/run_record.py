"""run.json: the data, config and code that a network was trained with."""

import json
import shlex
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import torch

from training.config.schema import TrainConfig
from training.data.dataset import FaceSet

WEIGHTS, RECORD = "network.pt", "run.json"
"""The files of a finished run."""
SOURCE = "source.json"
"""The command line and the code of a run, written when it starts."""
MOST_DIFF = 1_000_000  # characters of a diff that are kept


def write(
    path: Path,
    config: TrainConfig,
    faces: FaceSet,
    *,
    seconds: float,
    metrics: dict[str, float],
    evaluation: dict[str, Any] | None = None,
    pairs: list[dict[str, Any]] | None = None,
    resumed: list[dict[str, Any]] | None = None,
) -> None:
    record = {
        "config": config.model_dump(mode="json"),
        "config_sha256": config.digest,
        "seed": config.run.seed,
        "data": _data(config, faces),
        **_read_source(path.parent),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "seconds": round(seconds),
        "final_metrics": metrics,
        **({"evaluation": evaluation} if evaluation else {}),
        **({"pairs": pairs} if pairs else {}),
        **({"resumed": resumed} if resumed else {}),
    }
    path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def write_source(folder: Path) -> None:
    """Write the command line, the commit and what differs from it; the code may change while the run goes on."""
    source = {"command": shlex.join(sys.orig_argv), "commit": commit(), "diff": _diff()}
    (folder / SOURCE).write_text(json.dumps(source, indent=2) + "\n", encoding="utf-8")


def commit() -> str | None:
    """Return the checkout's commit, with -dirty where files differ from it; None without git or a commit."""
    described = _git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    return described and described.strip()


def _diff() -> str | None:
    """Return what differs from the commit, `git diff HEAD`, cut at `MOST_DIFF`; None without git or a commit."""
    diff = _git("diff", "HEAD")
    if diff is None or len(diff) <= MOST_DIFF:
        return diff
    return f"{diff[:MOST_DIFF]}\n(cut: {len(diff)} characters)\n"


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603 - fixed commands
            ["git", *arguments],  # noqa: S607
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            errors="replace",
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout


def _read_source(folder: Path) -> dict[str, Any]:
    source: dict[str, Any] = json.loads((folder / SOURCE).read_text(encoding="utf-8"))
    return source


def _data(config: TrainConfig, faces: FaceSet) -> dict[str, Any]:
    people = Counter(name.split("/")[0] for name in faces.names)
    crops = Counter(faces.names[person].split("/")[0] for person in faces.person_of)
    return {
        "roots": [str(root) for root in config.data.roots],
        "people": len(faces.names),
        "faces": len(faces),
        "by_root": {root: {"people": people[root], "faces": crops[root]} for root in people},
        "files_sha256": faces.digest,
        "skipped": [{"path": str(skip.path), "reason": skip.reason} for skip in faces.skipped],
    }
