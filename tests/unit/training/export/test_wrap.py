"""Wrapped ONNX embedders equal a NumPy reference, or are refused with the reason."""

import json
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto

from app.domain.arrays import Floats, Pixels
from app.domain.faces import AlignedCrop
from app.faces.alignment import ARCFACE_112
from app.inference.embedder import OnnxEmbedder
from app.inference.manifest import BoxAlignment, LandmarkAlignment, digest_of, read_checked, read_embedder
from app.inference.onnx_session import Session
from tests.support import sources
from tests.support.sources import SIDE, write
from training.errors import TrainingError
from training.export import import_published, wrap
from training.export.inspect_onnx import Unwrappable
from training.export.model_package import UnwritableModel
from training.export.preprocessing import Preprocessing

MEAN, STD = (104.0, 117.0, 123.0), (57.0, 58.0, 59.0)
ALIGNMENT = LandmarkAlignment(template=ARCFACE_112)


@pytest.fixture
def crops() -> Pixels:
    return np.random.default_rng(3).integers(0, 256, (5, SIDE, SIDE, 3), np.uint8)


def wrapped(folder: Path, *, bgr: bool = False, vector: str | None = None, size: int = SIDE, **source: Any) -> Path:
    """Wrap such a network and return the model folder."""
    path = write(folder / "source.onnx", **source)
    preprocessing = Preprocessing(size, MEAN, STD, bgr)
    wrap.wrap_model(path, folder / "mine", preprocessing, alignment=ALIGNMENT, vector=vector, license_="CC0")
    return folder / "mine"


def embedded(folder: Path, crops: Pixels) -> Floats:
    """Embed all crops at once, as the service does."""
    manifest = read_embedder(folder)
    embedder = OnnxEmbedder(Session(read_checked(folder, manifest.file), provider="cpu"), manifest)
    return np.stack([item.vector for item in embedder.embed([AlignedCrop(crop, 1.0) for crop in crops])])


@pytest.mark.parametrize("opset", [8, 13, 17, 18, 21])
@pytest.mark.parametrize("bgr", [False, True])
def test_served_vectors_are_those_of_a_reference(tmp_path: Path, crops: Pixels, opset: int, *, bgr: bool) -> None:
    vectors = embedded(wrapped(tmp_path, opset=opset, bgr=bgr), crops)
    np.testing.assert_allclose(vectors, sources.reference(crops, MEAN, STD, bgr=bgr), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("source", "batch"),
    [
        ({"shape": ("n", 3, SIDE, SIDE)}, None),
        ({"shape": (None, None, "h", "w")}, None),
        ({"shape": (1, 3, SIDE, SIDE)}, None),
        ({"shape": (1, 3, SIDE, SIDE), "rows": 1}, 1),
        ({"shape": ("n", 3, SIDE, SIDE), "rows": 1}, 1),
        ({"end": "averaged"}, 1),
        ({"end": "square"}, None),
        ({"listed": True}, None),
    ],
    ids=[
        "any",
        "unknown sides",
        "one, freed",
        "one alone",
        "one in truth",
        "one for all",
        "(N, D, 1, 1)",
        "weights as inputs",
    ],
)
def test_a_source_takes_many_crops_where_it_can_and_one_by_one_where_it_must(
    tmp_path: Path, crops: Pixels, source: dict[str, Any], batch: int | None
) -> None:
    folder = wrapped(tmp_path, **source)
    assert read_embedder(folder).batch == batch
    np.testing.assert_allclose(embedded(folder, crops), sources.reference(crops, MEAN, STD), rtol=0, atol=1e-5)


def test_the_manifest_says_where_the_model_comes_from(tmp_path: Path) -> None:
    manifest = read_embedder(wrapped(tmp_path, bgr=True))
    assert (manifest.id, manifest.license, manifest.crop_size, manifest.dimension) == ("mine", "CC0", SIDE, 4)
    assert manifest.alignment == ALIGNMENT
    assert manifest.provenance["source_digest"] == digest_of((tmp_path / "source.onnx").read_bytes())
    assert [manifest.provenance[key] for key in ("mean", "std", "channels")] == ["104,117,123", "57,58,59", "BGR"]


def test_the_manifest_names_the_origin_that_is_given(tmp_path: Path) -> None:
    path, preprocessing = write(tmp_path / "source.onnx"), Preprocessing(SIDE, MEAN, STD, bgr=False)
    origin = "Somebody's network"
    wrap.wrap_model(path, tmp_path / "mine", preprocessing, alignment=ALIGNMENT, license_="CC0", origin=origin)
    assert read_embedder(tmp_path / "mine").provenance["origin"] == origin


def test_one_of_several_outputs_must_be_named(tmp_path: Path, crops: Pixels) -> None:
    more = {"outputs": ["quarters"]}
    vectors = embedded(wrapped(tmp_path, vector="vectors", more=more), crops)
    np.testing.assert_allclose(vectors, sources.reference(crops, MEAN, STD), rtol=0, atol=1e-5)
    with pytest.raises(Unwrappable, match=r"2 outputs; choose one by --vector: vectors, quarters"):
        wrapped(tmp_path, more=more)
    with pytest.raises(Unwrappable, match=r"has no output 'norm': expected one of vectors, quarters"):
        wrapped(tmp_path, more=more, vector="norm")


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ({"shape": ("n", SIDE, SIDE, 3)}, r"expected NCHW images \(N, 3, 16, 16\), got NHWC \(\?, 16, 16, 3\)"),
        ({"size": 32}, r"expected --size to be the height and width of \(\?, 3, 16, 16\) in .*source\.onnx, got 32"),
        ({"shape": (8, 3, SIDE, SIDE)}, r"expected a network for any number of images, or one, got 8"),
        ({"shape": ("n", 1, SIDE, SIDE)}, r"expected images \(N, 3, 16, 16\) as input, got \(\?, 1, 16, 16\)"),
        ({"shape": ("n", 768)}, r"expected images \(N, 3, 16, 16\) as input, got \(\?, 768\)"),
        ({"more": {"inputs": ["age"]}}, r"expected a network with one input, got 2 in .*source\.onnx: data, age"),
        ({"dtype": TensorProto.UINT8}, r"expected float32 for 'data' in .*source\.onnx, got UINT8"),
        ({"opset": 7}, r"expected opset 8 or later, got 7"),
        ({"rows": 2}, r"does not run on images \(1, 3, 16, 16\): .*[Rr]eshape"),
        ({"end": "nothing"}, r"gives zero or infinite vectors"),
        (
            {"end": "random"},
            r"computes other vectors once wrapped: expected vectors equal to 0.0001, got a difference of",
        ),
    ],
)
def test_a_source_that_cannot_be_served_is_not_written(tmp_path: Path, source: dict[str, Any], complaint: str) -> None:
    with pytest.raises(Unwrappable, match=complaint):
        wrapped(tmp_path, **source)
    assert not (tmp_path / "mine").exists()


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff\xe0 a photo", b"PK\x03\x04 weights of PyTorch"])
def test_a_file_that_is_not_onnx_is_refused_by_name(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "photo.onnx").write_bytes(data)
    with pytest.raises(Unwrappable, match=r"photo\.onnx is not an ONNX model"):
        wrap.wrap_model(
            tmp_path / "photo.onnx",
            tmp_path / "mine",
            Preprocessing(SIDE, MEAN, STD, bgr=False),
            alignment=ALIGNMENT,
            license_="CC0",
        )


def test_a_published_file_that_cannot_be_wrapped_is_an_error_of_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    network = {"kind": "onnx", "mean": 0, "std": 1, "size": SIDE, "bgr": False}
    job = {"file": str(tmp_path / "absent.onnx"), "output": str(tmp_path / "mine"), "network": network}
    monkeypatch.setattr(sys, "stdin", StringIO(json.dumps(job | {"license": "MIT", "origin": "a test"})))
    with pytest.raises(SystemExit) as stopped:
        import_published.main()
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {tmp_path / 'absent.onnx'} is not an ONNX model: ")
    assert error.count("\n") == 1


def test_an_invalid_name_margin_or_folder_is_refused(tmp_path: Path) -> None:
    path, preprocessing = write(tmp_path / "source.onnx"), Preprocessing(SIDE, MEAN, STD, bgr=False)
    with pytest.raises(UnwritableModel, match="id: "):
        wrap.wrap_model(path, tmp_path / "two words", preprocessing, alignment=ALIGNMENT, license_="CC0")
    with pytest.raises(UnwritableModel, match=r"expected less than crop_size \(16\), got 16"):
        wrap.wrap_model(path, tmp_path / "mine", preprocessing, alignment=BoxAlignment(margin=16), license_="CC0")
    with pytest.raises(UnwritableModel, match="cannot write"):
        wrap.wrap_model(path, path / "mine", preprocessing, alignment=ALIGNMENT, license_="CC0")


def test_scales_are_one_number_or_three() -> None:
    assert wrap.parse_channels("127.5") == (127.5, 127.5, 127.5)
    assert wrap.parse_channels("104,117,123") == (104, 117, 123)
    for text in ("", "1,2", "1,2,3,4", "grey", "nan"):
        with pytest.raises(TrainingError, match="expected"):
            wrap.parse_channels(text)
    with pytest.raises(TrainingError, match="expected numbers above 0, got '1,0,1'"):
        wrap.parse_channels("1,0,1", positive=True)
