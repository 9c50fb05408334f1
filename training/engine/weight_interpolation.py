"""
`python -m training blend`: interpolate between the starting weights and the trained ones (WiSE-FT).

Fine-tuning gains accuracy on degraded faces and loses a little on clean ones. Between the two sets of weights most of
the gain is kept and the loss is recovered (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models"). This works
after a short fine-tuning with frozen BatchNorm statistics; docs/evaluation.md has the measurements.
"""

from __future__ import annotations

import json
from pathlib import Path

from torch import Tensor

from training.engine import checkpoints
from training.engine.run_record import RECORD, WEIGHTS
from training.errors import TrainingError
from training.networks.registry import build
from training.networks.weights import load_state


def interpolate(trained: Path, output: Path, share: float) -> Path:
    """
    Write `output`, a folder like that of a run: `share` of the trained weights, the rest of the starting ones.

    Raises TrainingError where the run started from scratch, or its starting weights are missing.
    """
    record = json.loads((trained / RECORD).read_text(encoding="utf-8"))
    config = record["config"]["network"]
    if config["weights"] is None:
        raise TrainingError(f"{trained} was trained from scratch: there are no weights to blend with")
    end, start = (_state(config, path) for path in (trained / WEIGHTS, Path(config["weights"])))
    output.mkdir(parents=True, exist_ok=True)
    checkpoints.write(output / WEIGHTS, {name: _lerp(start[name], end[name], share) for name in end})
    record["blend"] = {"share": share, "of": trained.name, "with": Path(config["weights"]).name}
    (output / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return output / WEIGHTS


def _state(config: dict[str, str | int], path: Path) -> dict[str, Tensor]:
    network = build(str(config["name"]), int(config["embedding_size"]))
    load_state(network, path)
    return dict(network.state_dict())


def _lerp(start: Tensor, end: Tensor, share: float) -> Tensor:
    return start.lerp(end, share) if end.is_floating_point() else end
