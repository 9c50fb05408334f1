"""The commands that convert networks trained elsewhere."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.inference.manifest import BoxAlignment, LandmarkAlignment, read_embedder
from tests.support.sources import SIDE, write
from training.cli.main import cli
from training.errors import TrainingError


def typed(*words: object) -> str:
    """Run a command and return its output; errors are raised."""
    return CliRunner().invoke(cli, [str(word) for word in words], catch_exceptions=False).output


@pytest.fixture
def source(tmp_path: Path) -> list[object]:
    path = write(tmp_path / "source.onnx")
    return ["wrap", path, "--mean", "127.5", "--std", "128", "--size", SIDE, "--license", "MIT", "--output"]


def test_a_wrapped_model_aligns_by_landmarks_or_by_the_box(tmp_path: Path, source: list[object]) -> None:
    output = typed(*source, tmp_path / "mine", "--template", "arcface-112", "--bgr")
    typed(*source, tmp_path / "boxed", "--margin", 4)
    assert "wrote" in output
    by_landmarks = read_embedder(tmp_path / "mine").alignment
    assert isinstance(by_landmarks, LandmarkAlignment)
    assert by_landmarks.template[0] == pytest.approx((38.2946 / 7, 51.6963 / 7))
    assert read_embedder(tmp_path / "boxed").alignment == BoxAlignment(margin=4)


def test_a_template_and_a_margin_contradict_each_other(tmp_path: Path, source: list[object]) -> None:
    with pytest.raises(TrainingError, match="expected --template or --margin, not both"):
        typed(*source, tmp_path / "mine", "--template", "arcface-112", "--margin", 4)


def test_import_facenet_without_a_file_says_where_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(TrainingError, match=r"20180402-114759-vggface2\.pt and give the file by --weights"):
        typed("import-facenet", "--pretrained", "vggface2", "--output", tmp_path / "mine")
