"""Checks of a resumed run: how, where and how long it runs may change, but not what is learned."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.config.schema import TrainConfig
from training.engine.checkpoints import State, UnusableCheckpoint

PATHS = (
    "data.roots",
    "evaluation.pairs",
    "evaluation.photos",
    "evaluation.roots",
    "network.weights",
    "optimizer.schedule_file",
    "teacher.weights",
)
"""Files and folders that may lie elsewhere, with the same content."""
CHANGEABLE = frozenset(
    {
        *PATHS,
        "data.index",
        "evaluation.block_size",
        "evaluation.cache",
        "evaluation.models_dir",
        "optimizer.epochs",
        "optimizer.steps",
        "run.checkpoint_every",
        "run.device",
        "run.gpu_memory_fraction",
        "run.gradient_checkpointing",
        "run.keep_checkpoints",
        "run.log_to",
        "run.num_workers",
        "run.threads",
        "run.workers",
    }
)
_FILES = ("evaluation.pairs", "network.weights", "teacher.weights", "optimizer.schedule_file")
_ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Change:
    """An option whose value differs from that of the checkpoint."""

    option: str
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{self.option} from {self.before} to {self.after}"


def changes(state: State, config: TrainConfig) -> list[Change]:
    """Return what differs from the config of a checkpoint. Raises UnusableCheckpoint, which names what may not."""
    before, after = _options(state["config"]), _options(config.model_dump(mode="json"))
    changed = [
        Change(option, before.get(option, _ABSENT), after.get(option, _ABSENT))
        for option in sorted(before.keys() | after.keys())
        if before.get(option, _ABSENT) != after.get(option, _ABSENT)
    ]
    if refused := [change for change in changed if change.option not in CHANGEABLE]:
        raise UnusableCheckpoint(
            f"a resumed run cannot change {'; '.join(map(str, refused))}: restore that, or choose another output"
        )
    _check_steps(state, config)
    _check_files(state, config)
    return changed


def file_digests(config: TrainConfig) -> dict[str, str]:
    """Return the SHA-256 of every file that the config names, by option; of a served model, of its manifest."""
    named = _options(config.model_dump(mode="json"))
    return {option: _digest(Path(named[option])) for option in _FILES if named[option] is not None}


def _check_steps(state: State, config: TrainConfig) -> None:
    done = state["learner"]["step"]
    if config.optimizer.steps < done:
        raise UnusableCheckpoint(
            f"optimizer.steps: expected at least the {done} steps of the checkpoint, got {config.optimizer.steps}"
        )


def _check_files(state: State, config: TrainConfig) -> None:
    digests = file_digests(config)
    if different := sorted(option for option, digest in state["files"].items() if digests.get(option) != digest):
        raise UnusableCheckpoint(
            f"expected the same content as when the run started in {', '.join(different)}: "
            "restore it, or choose another output"
        )


def _digest(path: Path) -> str:
    file = path / "manifest.json" if path.is_dir() else path
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return "unreadable"


def _options(config: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the values by `section.option`."""
    return {f"{section}.{option}": value for section, values in config.items() for option, value in values.items()}
