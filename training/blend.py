"""
`python -m training blend`: part of the way from the starting weights to the trained ones.

Fine-tuning buys accuracy on degraded faces with a little on clean ones; on the straight line between the two sets of
weights most of the first is kept and the second is won back (Wortsman et al. 2022, "Robust fine-tuning of zero-shot
models"). It holds where one network was trained from the other for a short while with its BatchNorm statistics frozen;
docs/evaluation.md has what it did here.
"""

from __future__ import annotations

import json
from pathlib import Path

from torch import Tensor

from training import checkpoints
from training.errors import TrainingError
from training.networks import build, load_state

WEIGHTS, RUN = "network.pt", "run.json"


def run(trained: Path, output: Path, share: float) -> Path:
    """
    Write `output`, a run's folder: `share` of the weights of the run `trained`, the rest of those it started from.

    Raises TrainingError where the run was from scratch or its starting weights are not there any more.
    """
    facts = json.loads((trained / RUN).read_text(encoding="utf-8"))
    config = facts["config"]["network"]
    if config["weights"] is None:
        raise TrainingError(f"{trained} was trained from scratch: there is nothing to blend with")
    end, start = (_state(config, path) for path in (trained / WEIGHTS, Path(config["weights"])))
    output.mkdir(parents=True, exist_ok=True)
    checkpoints.write(output / WEIGHTS, {name: _between(start[name], end[name], share) for name in end})
    facts["blend"] = {"share": share, "of": trained.name, "with": Path(config["weights"]).name}
    (output / RUN).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return output / WEIGHTS


def _state(config: dict[str, str | int], path: Path) -> dict[str, Tensor]:
    network = build(str(config["name"]), int(config["embedding_size"]))
    load_state(network, path)
    return dict(network.state_dict())


def _between(start: Tensor, end: Tensor, share: float) -> Tensor:
    return start.lerp(end, share) if end.is_floating_point() else end
