"""The report on turned photos counts what the service makes of each turn."""

import json
from pathlib import Path

from PIL import Image
from typer.testing import CliRunner

from app.domain.arrays import Pixels
from training.cli.main import cli


def test_turned_photos_are_counted_by_outcome(tmp_path: Path, hopper: Pixels, models_dir: Path) -> None:
    Image.fromarray(hopper).save(tmp_path / "hopper.png")
    Image.new("RGB", (80, 80)).save(tmp_path / "nobody.png")
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    options = ["--images", str(tmp_path), "--json", str(tmp_path / "reports" / "turned.json")]
    done = CliRunner().invoke(cli, ["evaluate", "orientation", *options, "--models-dir", str(models_dir)])
    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "reports" / "turned.json").read_text())
    assert report["images"] == 3
    assert [row["photos"] for row in report["rows"]] == [2] * 4
    for row in report["rows"]:
        auto = row["orientations"]["auto"]
        assert (auto["upright"], auto["wrong"], auto["none"]) == (1, 0, 1)
    assert report["rows"][0]["orientations"]["exif"]["upright"] == 1
    assert report["rows"][1]["orientations"]["exif"]["upright"] == 0
    assert "turned by 90 degrees (2): exif: 0 upright" in done.output
