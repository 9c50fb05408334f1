"""Another embedding model, as far as anyone can tell: the same network under another digest."""

import json
import shutil
from hashlib import sha256
from pathlib import Path

from tests.end_to_end.server import REPOSITORY

MODELS = REPOSITORY / "models"
EMBEDDER = Path("mobilefacenet-128") / "embedder.onnx"
DOC_STRING = b"\x32\x05other"
"""Field 6 of an ONNX ModelProto; protobuf lets a field be said again, the last one counts."""


def copied_models(folder: Path) -> Path:
    """The models of the repository, in a place where a test may spoil them."""
    return Path(shutil.copytree(MODELS, folder / "models"))


def other_models(folder: Path) -> Path:
    models = copied_models(folder)
    was, now = _told_again(models / EMBEDDER)
    for name in ("manifest.json", "calibration.json"):
        path = models / EMBEDDER.parent / name
        path.write_text(path.read_text().replace(was, now))
    return models


def _told_again(network: Path) -> tuple[str, str]:
    """The digests before and after."""
    before = network.read_bytes()
    network.write_bytes(before + DOC_STRING)
    manifest = json.loads((network.parent / "manifest.json").read_text())
    assert manifest["file"]["digest"] == f"sha256:{sha256(before).hexdigest()}"
    return manifest["file"]["digest"], f"sha256:{sha256(before + DOC_STRING).hexdigest()}"
