"""`likeness models pull` of weights for PyTorch: a file of random weights in the published format."""

import json
from pathlib import Path

import pytest

from app.cli import model_catalog
from app.inference.manifest import BoxAlignment, digest_of, read_embedder
from tests.support.file_server import serving
from tests.support.published import random_inception_resnet, saved
from tests.unit.cli.conftest import Command

pytestmark = pytest.mark.slow
VGGFACE2 = 8631  # people


def test_weights_of_pytorch_become_a_model(likeness: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = saved(random_inception_resnet(VGGFACE2), tmp_path / "weights.pt").read_bytes()
    entry = model_catalog.known_models()["facenet-vggface2"].model_dump(mode="json")
    entry |= {"sha256": digest_of(content).removeprefix("sha256:"), "bytes": len(content)}
    catalog, models = tmp_path / "catalog.json", tmp_path / "models"
    catalog.write_text(json.dumps({"models": [entry]}))
    monkeypatch.setattr(model_catalog, "CATALOG", catalog)
    models.mkdir()
    path = entry["url"].removeprefix("https://github.com")
    with serving(path, content, [len(content) // 2]) as site:
        done = likeness("models", "pull", entry["name"], "--accept-license", "--mirror", site.url, models_dir=models)
    assert done.exit_code == 0, done.output
    manifest = read_embedder(models / entry["name"])
    assert (manifest.dimension, manifest.alignment) == (512, BoxAlignment(margin=14))
    assert manifest.license == entry["license"]
    assert manifest.provenance["weights_sha256"] == digest_of(content)
    assert site.ranges == [None, f"bytes={len(content) // 2}-"]
