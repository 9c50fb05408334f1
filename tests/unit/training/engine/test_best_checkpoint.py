import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.unit.training.support import changed, weights
from training.config.schema import TrainConfig
from training.engine import best_checkpoint, trainer
from training.engine.validation import Validation

AUCS = {2: 0.6, 4: 0.9, 6: 0.9, 8: 0.7, 9: 0.8}


def measured(*_: object, step: int, fmr: float, block_size: int) -> Validation:
    assert block_size == 2048
    return Validation(step=step, people=2, faces=6, auc=AUCS[step], tmr=1 - AUCS[step], fmr=fmr)


@pytest.fixture
def evaluated(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> TrainConfig:
    """Nine steps, an evaluation after every second one and after the last."""
    monkeypatch.setattr(best_checkpoint, "validate", measured)
    return changed(changed(config, "optimizer", steps=9), "evaluation", every=2, held_out=0.34)


def test_the_first_of_the_best_weights_are_kept(evaluated: TrainConfig, tmp_path: Path) -> None:
    best = weights(trainer.train(evaluated, tmp_path / "run", resume=False))
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    last = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["learner"]["network"]
    assert [one["step"] for one in facts["evaluation"]["all"]] == [2, 4, 6, 8, 9]
    assert facts["evaluation"]["best"] == {"step": 4, "people": 2, "faces": 6, "auc": 0.9, "tmr": 1 - 0.9, "fmr": 1e-3}
    assert torch.equal(best["last.weight"], weights(tmp_path / "run" / "best.pt")["last.weight"])
    assert not torch.equal(best["last.weight"], last["last.weight"])


def test_the_best_may_be_chosen_by_tmr(evaluated: TrainConfig, tmp_path: Path) -> None:
    trainer.train(changed(evaluated, "evaluation", best_by="tmr"), tmp_path / "run", resume=False)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["evaluation"]["best"]["step"] == 2


def test_averaged_weights_are_validated(
    evaluated: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, Tensor]] = []
    monkeypatch.setattr(best_checkpoint, "validate", lambda _, kept, __, **how: seen.append(kept) or measured(**how))  # type: ignore[func-returns-value]
    best = weights(
        trainer.train(changed(evaluated, "optimizer", ema_decay=0.5, steps=2), tmp_path / "run", resume=False)
    )
    state = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["learner"]
    assert torch.equal(best["last.weight"], seen[0]["last.weight"])
    assert torch.equal(best["last.weight"], state["average"]["module.last.weight"])
    assert not torch.equal(best["last.weight"], state["network"]["last.weight"])
