"""Export to ONNX, with the manifest that the service reads."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from app.domain.arrays import Pixels
from app.inference.manifest import LandmarkAlignment, digest_of, read_checked, read_embedder
from app.inference.onnx_session import Session
from training.cli.main import cli
from training.export import onnx
from training.networks.embedder import Embedder
from training.networks.registry import build
from training.networks.weights import UnusableWeights, load_state


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state dict of a MobileFaceNet with random weights."""
    torch.manual_seed(4)
    path = tmp_path_factory.mktemp("weights") / "network.pt"
    torch.save(build("mobilefacenet", 128).state_dict(), path)
    return path


@pytest.fixture(scope="module")
def folder(weights: Path) -> Path:
    """The model of these weights."""
    onnx.export_model(weights, weights.parent / "mine", license_="MIT")
    return weights.parent / "mine"


@pytest.fixture
def crops() -> Pixels:
    return np.random.default_rng(2).integers(0, 256, (6, 112, 112, 3), np.uint8)


@pytest.mark.slow
def test_the_graph_gives_the_vectors_of_pytorch_to_five_decimals(folder: Path, weights: Path, crops: Pixels) -> None:
    network = build("mobilefacenet", 128)
    load_state(network, weights)
    with torch.inference_mode():
        expected = Embedder(network, views="mirror").eval()(torch.from_numpy(crops)).numpy()
    (got,) = Session((folder / "embedder.onnx").read_bytes(), provider="cpu").run(crops)
    assert np.abs(got - expected).max() <= 1e-5
    np.testing.assert_allclose(np.linalg.norm(got, axis=1), 1, atol=1e-5)


def test_the_service_reads_the_manifest(folder: Path) -> None:
    manifest = read_embedder(folder)
    assert (manifest.id, manifest.dimension, manifest.crop_size, manifest.license) == ("mine", 128, 112, "MIT")
    assert digest_of(read_checked(folder, manifest.file)) == manifest.file.digest


def test_the_manifest_records_the_run_of_the_weights(weights: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "network.pt").symlink_to(weights)
    facts = {
        "config": {
            "network": {"name": "mobilefacenet", "embedding_size": 128, "weights": "/far/away/start.pt"},
            "teacher": {"weights": "/far/away/larger"},
        },
        "config_sha256": "c0",
        "data": {"files_sha256": "da"},
        "seed": 9,
        "commit": "abc",
    }
    (run / "run.json").write_text(json.dumps(facts))
    onnx.export_model(run, tmp_path / "mine", license_="MIT", views="crop")
    provenance = read_embedder(tmp_path / "mine").provenance
    assert (provenance["started_from"], provenance["teacher"]) == ("start.pt", "larger")
    assert (provenance["seed"], provenance["commit"], provenance["passes"]) == ("9", "abc", "crop")


@pytest.fixture
def small_run(tmp_path: Path) -> Path:
    """A finished run of nn4 with vectors of 32."""
    (tmp_path / "run").mkdir()
    torch.save(build("nn4", 32).state_dict(), tmp_path / "run" / "network.pt")
    record = {
        "config": {"network": {"name": "nn4", "embedding_size": 32, "weights": None}},
        "config_sha256": "c0",
        "data": {"files_sha256": "da"},
        "seed": 1,
        "commit": None,
    }
    (tmp_path / "run" / "run.json").write_text(json.dumps(record))
    return tmp_path / "run"


@pytest.mark.slow
def test_a_run_names_its_network(small_run: Path, tmp_path: Path) -> None:
    command = ["export", str(small_run), "--output", str(tmp_path / "mine"), "--license", "MIT"]
    done = CliRunner().invoke(cli, command, catch_exceptions=False)
    assert done.exit_code == 0
    manifest = read_embedder(tmp_path / "mine")
    assert (manifest.crop_size, manifest.dimension) == (96, 32)


@pytest.mark.slow
def test_a_run_on_images_scaled_one_by_one_is_served_so(small_run: Path, tmp_path: Path) -> None:
    record = json.loads((small_run / "run.json").read_text())
    record["config"]["network"]["per_image_scaling"] = True
    (small_run / "run.json").write_text(json.dumps(record))
    onnx.export_model(small_run, tmp_path / "mine", views="crop", license_="MIT")
    network = build("nn4", 32, per_image_scaling=True)
    load_state(network, small_run / "network.pt")
    crops = np.random.default_rng(3).integers(0, 128, (2, 96, 96, 3), np.uint8)
    (got,) = Session((tmp_path / "mine" / "embedder.onnx").read_bytes(), provider="cpu").run(crops)
    with torch.inference_mode():
        expected = Embedder(network).eval()(torch.from_numpy(crops)).numpy()
        fixed = Embedder(build("nn4", 32)).eval()
        load_state(fixed.network, small_run / "network.pt")
        assert np.abs(fixed(torch.from_numpy(crops)).numpy() - expected).max() > 1e-3
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_another_network_than_that_of_the_run_is_refused(small_run: Path, tmp_path: Path) -> None:
    with pytest.raises(UnusableWeights, match="trained nn4 with vectors of 32, got nn4 with 128: leave out --network"):
        onnx.export_model(small_run, tmp_path / "mine", embedding_size=128, license_="MIT")


def test_a_run_that_has_not_ended_is_refused(small_run: Path, tmp_path: Path) -> None:
    (small_run / "run.json").unlink()
    with pytest.raises(UnusableWeights, match=r"expected the folder of a finished run, got .*run"):
        onnx.export_model(small_run, tmp_path / "mine", license_="MIT")


def test_a_graph_that_computes_something_else_is_refused(folder: Path) -> None:
    other = Embedder(build("mobilefacenet", 128)).eval()
    with pytest.raises(onnx.ParityError, match="difference"):
        onnx.check_parity(other, (folder / "embedder.onnx").read_bytes())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["nn4", "nns2"])
def test_networks_of_another_size_get_a_template_and_a_graph_of_theirs(tmp_path: Path, name: str) -> None:
    torch.manual_seed(2)
    network = build(name, 32)
    torch.save(network.state_dict(), tmp_path / "network.pt")
    onnx.export_model(tmp_path / "network.pt", tmp_path / name, network=name, embedding_size=32, license_="MIT")
    manifest = read_embedder(tmp_path / name)
    assert (manifest.crop_size, manifest.dimension) == (network.crop_size, 32)
    assert isinstance(manifest.alignment, LandmarkAlignment)
    assert manifest.alignment.template[0][0] == pytest.approx(38.2946 * network.crop_size / 112)


def test_weights_of_another_network_are_refused_and_nothing_is_written(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(UnusableWeights):
        onnx.export_model(tiny, tmp_path / "mine", license_="MIT")
    assert not (tmp_path / "mine").exists()
