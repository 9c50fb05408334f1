"""run.json: the data, config and code that a network was trained with."""

import json
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import torch

from training.config.schema import TrainConfig
from training.data.dataset import FaceSet

WEIGHTS, RECORD = "network.pt", "run.json"
"""The files of a finished run."""


def write(
    path: Path,
    config: TrainConfig,
    faces: FaceSet,
    *,
    seconds: float,
    metrics: dict[str, float],
    evaluation: dict[str, Any] | None = None,
    resumed: list[dict[str, Any]] | None = None,
) -> None:
    record = {
        "config": config.model_dump(mode="json"),
        "config_sha256": config.digest,
        "seed": config.run.seed,
        "data": _data(config, faces),
        "commit": commit(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "seconds": round(seconds),
        "final_metrics": metrics,
        **({"evaluation": evaluation} if evaluation else {}),
        **({"resumed": resumed} if resumed else {}),
    }
    path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def commit() -> str | None:
    """Return the checkout's commit, with -dirty where files differ from it; None without git or a commit."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command
            command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


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
