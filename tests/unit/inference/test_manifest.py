"""A model folder is read by its manifest, and only with the files that the manifest describes."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from app.domain.errors import StartError
from app.inference.manifest import (
    MANIFEST,
    BoxAlignment,
    LandmarkAlignment,
    ModelFile,
    digest_of,
    read_checked,
    read_detector,
    read_embedder,
)

NETWORK = b"a network"
FILE = {"path": "embedder.onnx", "digest": "sha256:" + hashlib.sha256(NETWORK).hexdigest()}
TEMPLATE = [[38, 52], [74, 52], [56, 72], [42, 92], [71, 92]]
EMBEDDER: dict[str, Any] = {
    "id": "tiny-3",
    "license": "MIT",
    "provenance": {"seed": "1"},
    "kind": "embedder",
    "file": FILE,
    "crop_size": 112,
    "alignment": {"kind": "landmarks", "template": TEMPLATE},
    "dimension": 3,
}
DETECTOR = {
    "id": "mtcnn",
    "license": "MIT",
    "provenance": {},
    "kind": "mtcnn",
    "pnet": FILE,
    "rnet": {**FILE, "path": "rnet.onnx"},
    "onet": {**FILE, "path": "onet.onnx"},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "embedder.onnx").write_bytes(NETWORK)
    (tmp_path / MANIFEST).write_text(json.dumps(EMBEDDER))
    return tmp_path


def rewrite(folder: Path, **changes: object) -> Path:
    (folder / MANIFEST).write_text(json.dumps(EMBEDDER | changes))
    return folder


def test_manifest_describes_the_files_of_its_folder(folder: Path) -> None:
    manifest = read_embedder(folder)
    assert (manifest.id, manifest.dimension, manifest.crop_size) == ("tiny-3", 3, 112)
    assert manifest.alignment == LandmarkAlignment(template=tuple((x, y) for x, y in TEMPLATE))
    assert manifest.batch is None
    assert manifest.provenance == {"seed": "1"}
    assert read_checked(folder, manifest.file) == NETWORK


def test_digest_is_the_sha256_of_the_bytes() -> None:
    assert digest_of(b"") == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_file_with_another_digest_stops_the_start(folder: Path) -> None:
    manifest = read_embedder(folder)
    (folder / "embedder.onnx").write_bytes(b"another network")
    with pytest.raises(StartError, match=f"expected {FILE['digest']}, got {digest_of(b'another network')}"):
        read_checked(folder, manifest.file)


def test_missing_file_stops_the_start(folder: Path) -> None:
    manifest = read_embedder(folder)
    (folder / "embedder.onnx").unlink()
    with pytest.raises(StartError, match=r"cannot read the model file .*embedder.onnx: No such file"):
        read_checked(folder, manifest.file)
    (folder / MANIFEST).unlink()
    with pytest.raises(StartError, match=f"no model in {folder}"):
        read_embedder(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"id": "tiny-3"}', "\udcff"])
def test_malformed_manifest_stops_the_start(folder: Path, text: str) -> None:
    (folder / MANIFEST).write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(StartError, match="is not a manifest of kind EmbedderManifest"):
        read_embedder(folder)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "../elsewhere"),
        ("id", "two words"),
        ("kind", "mtcnn"),
        ("file", {**FILE, "path": "../embedder.onnx"}),
        ("file", {**FILE, "path": "/etc/passwd"}),
        ("file", {**FILE, "digest": "md5:0"}),
        ("crop_size", 15),
        ("crop_size", 1025),
        ("crop_size", "large"),
        ("template", TEMPLATE),
        ("alignment", {"kind": "landmarks", "template": TEMPLATE[:4]}),
        ("alignment", {"kind": "landmarks", "template": [*TEMPLATE, [0, 0]]}),
        ("alignment", {"kind": "landmarks", "template": [[1, 2, 3]] * 5}),
        ("alignment", {"kind": "landmarks", "template": TEMPLATE, "margin": 14}),
        ("alignment", {"kind": "box", "margin": -1}),
        ("alignment", {"kind": "box", "margin": 112}),
        ("alignment", {"kind": "guess"}),
        ("batch", 2),
        ("dimension", 1),
        ("dimension", 4097),
        ("surprise", 1),
    ],
)
def test_invalid_field_is_named(folder: Path, field: str, value: object) -> None:
    with pytest.raises(StartError, match=field):
        read_embedder(rewrite(folder, **{field: value}))


@pytest.mark.parametrize(
    ("field", "value"), [("crop_size", 16), ("crop_size", 1024), ("dimension", 2), ("dimension", 4096)]
)
def test_field_may_be_at_its_bounds(folder: Path, field: str, value: int) -> None:
    assert getattr(read_embedder(rewrite(folder, **{field: value})), field) == value


def test_alignment_by_box_is_read(folder: Path) -> None:
    manifest = read_embedder(rewrite(folder, alignment={"kind": "box", "margin": 111}, batch=1))
    assert (manifest.alignment, manifest.batch) == (BoxAlignment(margin=111), 1)


def test_manifest_is_immutable(folder: Path) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        read_embedder(folder).dimension = 4  # type: ignore[misc]


def test_digest_of_a_detector_depends_on_each_of_its_networks(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text(json.dumps(DETECTOR))
    manifest = read_detector(tmp_path)
    other = ModelFile(path="onet.onnx", digest=digest_of(b"other"))
    changed = {manifest.model_copy(update={part: other}).digest for part in ("pnet", "rnet", "onet")}
    assert [part.path for part in (manifest.pnet, manifest.rnet, manifest.onet)] == [
        "embedder.onnx",
        "rnet.onnx",
        "onet.onnx",
    ]
    assert manifest.digest == digest_of((FILE["digest"] * 3).encode())
    assert len(changed | {manifest.digest}) == 4


@pytest.mark.parametrize("name", ["mtcnn", "mobilefacenet-128"])
def test_models_in_the_repository_match_their_manifests(models_dir: Path, name: str) -> None:
    folder = models_dir / name
    manifest = json.loads((folder / MANIFEST).read_text())
    files = [ModelFile(**value) for value in manifest.values() if isinstance(value, dict) and "digest" in value]
    assert all(digest_of(read_checked(folder, file)) == file.digest for file in files)
    assert {file.path for file in files} == {path.name for path in folder.glob("*.onnx")}
