"""Another embedding model: the same network with another digest."""

import json
import shutil
from hashlib import sha256
from pathlib import Path

from tests.support.server import REPOSITORY

MODELS = REPOSITORY / "models"
EMBEDDER = Path("mobilefacenet-128") / "embedder.onnx"
DOC_STRING = b"\x32\x05other"
"""Field 6 of an ONNX ModelProto; protobuf allows a field twice, and the last one counts."""


def copied_models(folder: Path) -> Path:
    """Copy the models of the repository, so that a test may change them."""
    return Path(shutil.copytree(MODELS, folder / "models"))


def other_models(folder: Path) -> Path:
    models = copied_models(folder)
    was, now = _with_new_digest(models / EMBEDDER)
    for name in ("manifest.json", "calibration.json"):
        path = models / EMBEDDER.parent / name
        path.write_text(path.read_text().replace(was, now))
    return models


def _with_new_digest(network: Path) -> tuple[str, str]:
    """Change the file, and return its digests before and after."""
    before = network.read_bytes()
    network.write_bytes(before + DOC_STRING)
    manifest = json.loads((network.parent / "manifest.json").read_text())
    assert manifest["file"]["digest"] == f"sha256:{sha256(before).hexdigest()}"
    return manifest["file"]["digest"], f"sha256:{sha256(before + DOC_STRING).hexdigest()}"
