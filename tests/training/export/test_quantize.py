"""8-bit models keep their contract, and their accuracy or they are not written."""

import numpy as np
import onnx
import pytest

from app.runtime.manifest import digest_of, read_checked, read_embedder
from app.runtime.session import Session
from training.errors import TrainingError
from training.export import quantization_gate, quantize
from training.export.onnx import export_model
from training.export.quantization_gate import AccuracyLost, Comparison, Gate

GOOD = Comparison(accuracy=0.992, accuracy_before=0.993, tmr=0.96, tmr_before=0.965, speed=1.4)


@pytest.fixture
def model(tiny, tmp_path):
    export_model(tiny, tmp_path / "model", network="tiny", embedding_size=8, license_="MIT")
    return tmp_path / "model"


@pytest.fixture
def compared(monkeypatch):
    """Sets what the comparison finds, in place of photos."""
    return lambda found: monkeypatch.setattr(quantization_gate, "compare", lambda *_: found)


def test_an_8_bit_model_takes_crops_and_gives_nearly_the_same_unit_vectors(model, people, tmp_path, compared):
    compared(GOOD)
    quantization_gate.quantize_model(model, people, tmp_path / "small", task=None)
    before, after = read_embedder(model), read_embedder(tmp_path / "small")
    graph = read_checked(tmp_path / "small", after.file)
    crops = quantization_gate.training_faces(people)
    (wanted,), (got,) = Session(read_checked(model, before.file)).run(crops), Session(graph).run(crops)
    assert (got.dtype, got.shape) == (np.float32, wanted.shape)
    np.testing.assert_allclose(np.linalg.norm(got, axis=1), 1, atol=1e-5)
    assert 0.98 < (got * wanted).sum(axis=1).min() < 1 - 1e-7
    kinds = {node.op_type for node in onnx.load_from_string(graph).graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= kinds


def test_the_manifest_says_what_it_was_made_of(model, people, tmp_path, compared):
    compared(GOOD)
    quantization_gate.quantize_model(model, people, tmp_path / "small", task=None)
    before, after = read_embedder(model), read_embedder(tmp_path / "small")
    assert (after.crop_size, after.alignment, after.dimension) == (112, before.alignment, 8)
    assert after.provenance["quantized_from"] == before.file.digest
    assert "1.40 times as fast" in after.provenance["compared"]


@pytest.mark.parametrize(("accuracy", "tmr"), [(0.9918, 0.96), (0.992, 0.9598)])
def test_a_model_that_loses_too_much_is_not_written(model, people, tmp_path, compared, accuracy, tmr):
    compared(Comparison(accuracy, 0.993, tmr, 0.965, 1.4))
    with pytest.raises(AccuracyLost, match=r"accuracy 0.99.* 1.40 times as fast"):
        quantization_gate.quantize_model(model, people, tmp_path / "small", task=None)
    assert not (tmp_path / "small").exists()


def test_exactly_what_may_be_lost_may_be_lost():
    assert Comparison(0.992, 0.993, 0.96, 0.965, 1).keeps(Gate())


def test_a_layer_that_turns_the_vectors_too_far_stays_float(model, people, monkeypatch):
    graph, faces = (model / "embedder.onnx").read_bytes(), quantization_gate.training_faces(people)
    monkeypatch.setattr(quantize, "MAX_ADDED_ERROR", -1.0)
    same, left = quantize.quantize_layers(graph, faces)
    assert len(left) == 2
    (got,), (wanted,) = Session(same).run(faces), Session(graph).run(faces)
    np.testing.assert_allclose(got, wanted, atol=1e-5)


def test_a_folder_without_crops_is_refused(tmp_path):
    with pytest.raises(TrainingError, match="no aligned crops"):
        quantization_gate.training_faces(tmp_path)


def test_a_graph_is_as_fast_as_itself(model):
    graph = (model / "embedder.onnx").read_bytes()
    assert digest_of(graph) == read_embedder(model).file.digest
    assert 0.2 < quantization_gate.speed_ratio(graph, graph, np.zeros((2, 112, 112, 3), np.uint8)) < 5


def test_an_activation_goes_with_its_layer(model, people):
    small, left = quantize.quantize_layers(
        (model / "embedder.onnx").read_bytes(), quantization_gate.training_faces(people)
    )
    assert left == []
    assert "Relu" not in {node.op_type for node in onnx.load_from_string(small).graph.node}


def test_a_layer_that_adds_too_much_stays_float_and_out_of_the_trials_after_it(model, people, monkeypatch):
    turns, tried = {"a": 0.6, "b": 1.5, "c": 0.7}, []  # in units of MAX_ADDED_ERROR, together

    def quantized(_network, _ranges, layers):
        tried.append(list(layers))
        return ",".join(layers).encode()

    def vectors(graph, faces):
        layers = [] if graph == whole else graph.decode().split(",")
        turned = quantize.MAX_ADDED_ERROR * sum(turns[layer] for layer in layers)
        return np.tile([1 - turned, np.sqrt(1 - (1 - turned) ** 2)], (len(faces), 1))

    whole, faces = (model / "embedder.onnx").read_bytes(), quantization_gate.training_faces(people)
    for name, fake in (("_layers", lambda _: list(turns)), ("_quantized", quantized), ("_vectors", vectors)):
        monkeypatch.setattr(quantize, name, fake)

    assert quantize.quantize_layers(whole, faces) == (b"a,c", ["b"])
    assert tried == [["a"], ["a", "b"], ["a", "c"], ["a", "c"]]
