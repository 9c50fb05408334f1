"""A list of pairs of photos is measured while a network trains."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.unit.training.support import changed
from training.config.schema import TrainConfig
from training.engine import trainer
from training.engine.pairs_validation import in_folds
from training.evaluation import lfw_protocol
from training.evaluation.pair_files import read_pairs
from training.evaluation.verification import VerificationTask, pair_scores
from training.export.onnx import export_model
from training.pipeline.detection_cache import FaceFinder, embed_faces
from training.pipeline.served_model import ServedModel

PAIRS = """2 2
Hopper 1 2
Collins 1 2
Hopper 1 Collins 1
Hopper 2 Collins 2
Hopper 1 3
Collins 1 3
Hopper 3 Collins 3
Hopper 2 Collins 3
"""


@pytest.fixture
def measured(config: TrainConfig, lfw_photos: Path, models_dir: Path, tmp_path: Path) -> TrainConfig:
    """Six steps, with a measurement of the pairs after every fourth and the last."""
    (tmp_path / "pairs.txt").write_text(PAIRS)
    paths = {"photos": str(lfw_photos), "pairs": str(tmp_path / "pairs.txt"), "models_dir": str(models_dir)}
    return changed(config, "evaluation", every=4, **paths)


def test_accuracy_and_val_are_those_of_the_exported_model(
    measured: TrainConfig, models_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    trainer.train(measured, run, resume=False)
    record = json.loads((run / "run.json").read_text())
    assert [result["step"] for result in record["pairs"]] == [4, 6]
    last = record["pairs"][-1]

    export_model(run, tmp_path / "model", views="crop", license_="none")
    assert measured.evaluation.photos
    assert measured.evaluation.pairs
    task = VerificationTask.open(measured.evaluation.photos, measured.evaluation.pairs, FaceFinder(models_dir))
    embeddings, _ = embed_faces(ServedModel.open_uncalibrated(tmp_path / "model"), task.detected)
    served = lfw_protocol.report(pair_scores(embeddings, task.detected.found, task.pairs), task.pairs)
    assert last["accuracy"] == served["accuracy"]["mean"]
    assert last["accuracy_error"] == served["accuracy"]["error"]
    assert (last["val"], last["val_error"]) == (served["val"]["mean"], served["val"]["error"])
    assert last["far"] == served["val"]["far"]

    lines = [line.split("\t") for line in (run / "lfw_result.txt").read_text().splitlines()]
    assert [line[0] for line in lines] == ["4", "6"]
    assert lines[-1][1:3] == [f"{last['accuracy']:.5f}", f"{last['val']:.5f}"]
    assert f"step 6: accuracy {last['accuracy']:.4f} +- " in capsys.readouterr().out


def test_a_resumed_run_keeps_the_measurements_before(measured: TrainConfig, tmp_path: Path) -> None:
    constant = changed(measured, "optimizer", schedule="constant")
    trainer.train(constant, tmp_path / "run", resume=False)
    trainer.train(changed(constant, "optimizer", steps=8), tmp_path / "run", resume=True)
    lines = (tmp_path / "run" / "lfw_result.txt").read_text().splitlines()
    assert [line.split("\t")[0] for line in lines] == ["4", "6", "8"]


def test_pairs_may_be_cut_into_other_folds(tmp_path: Path) -> None:
    (tmp_path / "pairs.txt").write_text(PAIRS)
    pairs = read_pairs(tmp_path / "pairs.txt")
    assert in_folds(pairs, 4).fold.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert np.array_equal(in_folds(pairs, 2).fold, pairs.fold)
