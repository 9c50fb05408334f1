"""8-bit models have the same inputs and outputs, and are not written if they lose accuracy."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps
from typer.testing import CliRunner

from app.domain.arrays import Pixels
from app.inference.manifest import digest_of, read_checked, read_embedder
from app.inference.onnx_session import Session
from training.cli.main import cli
from training.errors import TrainingError
from training.evaluation.verification import VerificationTask
from training.export import quantization_gate, quantize
from training.export.onnx import export_model
from training.export.quantization_gate import AccuracyLost, Comparison, Gate
from training.pipeline.detection_cache import FaceFinder

NO_TASK: Any = None
Compared = Callable[[Comparison], None]
GOOD = Comparison(accuracy=0.992, accuracy_before=0.993, tmr=0.96, tmr_before=0.965, speed=1.4)


@pytest.fixture
def model(tiny: Path, tmp_path: Path) -> Path:
    export_model(tiny, tmp_path / "model", network="tiny", embedding_size=8, license_="MIT")
    return tmp_path / "model"


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    (tmp_path / "pairs.txt").write_text("2 1\nHopper 1 2\nHopper 1 Collins 1\nCollins 2 3\nHopper 3 Collins 2\n")
    return tmp_path / "pairs.txt"


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> Compared:
    """Set the result of the comparison, so that no photos are needed."""
    return lambda found: monkeypatch.setattr(quantization_gate, "compare", lambda *_: found)


def test_an_8_bit_model_gives_nearly_the_vectors(model: Path, people: Path, tmp_path: Path, compared: Compared) -> None:
    compared(GOOD)
    quantization_gate.quantize_model(model, people, tmp_path / "small", NO_TASK)
    before, after = read_embedder(model), read_embedder(tmp_path / "small")
    graph = read_checked(tmp_path / "small", after.file)
    crops = quantization_gate.training_faces(people)
    (expected,), (got,) = Session(read_checked(model, before.file)).run(crops), Session(graph).run(crops)
    assert (str(got.dtype), got.shape) == ("float32", expected.shape)
    np.testing.assert_allclose(np.linalg.norm(got, axis=1), 1, atol=1e-5)
    assert 0.98 < (got * expected).sum(axis=1).min() < 1 - 1e-7
    kinds = {node.op_type for node in onnx.load_from_string(graph).graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= kinds
    assert (after.crop_size, after.alignment, after.dimension) == (112, before.alignment, 8)
    assert after.provenance["quantized_from"] == before.file.digest
    assert "1.40 times as fast" in after.provenance["compared"]


@pytest.mark.parametrize(("accuracy", "tmr"), [(0.9918, 0.96), (0.992, 0.9598)])
def test_a_model_that_loses_too_much_is_not_written(
    model: Path, people: Path, tmp_path: Path, compared: Compared, accuracy: float, tmr: float
) -> None:
    compared(Comparison(accuracy, 0.993, tmr, 0.965, 1.4))
    with pytest.raises(AccuracyLost, match=r"accuracy 0.99.* 1.40 times as fast"):
        quantization_gate.quantize_model(model, people, tmp_path / "small", NO_TASK)
    assert not (tmp_path / "small").exists()


def test_the_largest_accepted_loss_is_accepted() -> None:
    assert Comparison(0.992, 0.993, 0.96, 0.965, 1).keeps(Gate())


def test_a_layer_that_changes_too_much_stays_float(model: Path, people: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph, faces = (model / "embedder.onnx").read_bytes(), quantization_gate.training_faces(people)
    monkeypatch.setattr(quantize, "MAX_ADDED_ERROR", -1.0)
    same, float_layers = quantize.quantize_layers(graph, faces)
    assert len(float_layers) == 2
    (got,), (expected,) = Session(same).run(faces), Session(graph).run(faces)
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_a_model_of_other_crops_is_refused(people: Path, boxed_model: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"expected a model that takes ArcFace crops of 112 px.*boxed does not"):
        quantization_gate.quantize_model(boxed_model, people, tmp_path / "small", NO_TASK)


@pytest.mark.slow
def test_models_are_compared_on_the_pairs_and_in_time(
    model: Path, people: Path, lfw_photos: Path, pairs: Path, models_dir: Path
) -> None:
    for file in lfw_photos.glob("*/*_0003.jpg"):  # in another light, where an untrained network knows nobody
        ImageEnhance.Brightness(ImageOps.mirror(Image.open(file))).enhance(0.4).save(file)
    task = VerificationTask.open(lfw_photos, pairs, FaceFinder(models_dir))
    faces = quantization_gate.training_faces(people)
    shipped = models_dir / "mobilefacenet-128"
    small = quantization_gate.compare(models_dir / "mobilefacenet-128-int8", shipped, task, faces)
    assert (small.accuracy, small.accuracy_before, small.tmr, small.tmr_before) == (1, 1, 1, 1)
    assert small.keeps(Gate())
    untrained = quantization_gate.compare(model, shipped, task, faces)
    assert (untrained.accuracy_before, untrained.tmr_before) == (1, 1)
    assert untrained.tmr < 1
    assert untrained.speed > 2  # three layers beside fifty
    assert not untrained.keeps(Gate())


def test_the_command_says_what_was_written(
    model: Path, people: Path, lfw_photos: Path, pairs: Path, models_dir: Path, tmp_path: Path, compared: Compared
) -> None:
    compared(GOOD)
    files = ["--images", people, "--photos", lfw_photos, "--pairs", pairs]
    command = ["quantize", model, *files, "--output", tmp_path / "small", "--models-dir", models_dir]
    done = CliRunner().invoke(cli, [*map(str, command)], catch_exceptions=False)
    assert f"wrote {tmp_path / 'small'}: accuracy 0.9920 (was 0.9930), TMR at FMR 0.0001 0.9600" in done.output
    assert read_embedder(tmp_path / "small").crop_size == 112


def test_a_folder_without_crops_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no aligned crops"):
        quantization_gate.training_faces(tmp_path)


def test_a_graph_is_as_fast_as_itself(model: Path) -> None:
    graph = (model / "embedder.onnx").read_bytes()
    assert digest_of(graph) == read_embedder(model).file.digest
    assert 0.2 < quantization_gate.speed_ratio(graph, graph, np.zeros((2, 112, 112, 3), np.uint8)) < 5


def test_an_activation_is_quantized_with_its_layer(model: Path, people: Path) -> None:
    small, float_layers = quantize.quantize_layers(
        (model / "embedder.onnx").read_bytes(), quantization_gate.training_faces(people)
    )
    assert float_layers == []
    assert "Relu" not in {node.op_type for node in onnx.load_from_string(small).graph.node}


def test_a_layer_that_adds_too_much_is_not_tried_again(
    model: Path, people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors, tried = {"a": 0.6, "b": 1.5, "c": 0.7}, list[list[str]]()  # in units of MAX_ADDED_ERROR, summed

    def quantized(_network: object, _ranges: object, layers: list[str]) -> bytes:
        tried.append(list(layers))
        return ",".join(layers).encode()

    def vectors(graph: bytes, faces: Pixels) -> NDArray[np.float64]:
        layers = [] if graph == whole else graph.decode().split(",")
        error = quantize.MAX_ADDED_ERROR * sum(errors[layer] for layer in layers)
        return np.tile([1 - error, np.sqrt(1 - (1 - error) ** 2)], (len(faces), 1))

    whole, faces = (model / "embedder.onnx").read_bytes(), quantization_gate.training_faces(people)
    for name, fake in (("_layers", lambda _: list(errors)), ("_quantized", quantized), ("_vectors", vectors)):
        monkeypatch.setattr(quantize, name, fake)

    assert quantize.quantize_layers(whole, faces) == (b"a,c", ["b"])
    assert tried == [["a"], ["a", "b"], ["a", "c"], ["a", "c"]]
