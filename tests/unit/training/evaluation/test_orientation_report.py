"""The report on turned photos counts what the service makes of each turn."""

from pathlib import Path

from PIL import Image

from app.domain.arrays import Pixels
from training.evaluation import orientation_report


def test_turned_photos_are_counted_by_outcome(tmp_path: Path, hopper: Pixels, models_dir: Path) -> None:
    Image.fromarray(hopper).save(tmp_path / "hopper.png")
    Image.new("RGB", (80, 80)).save(tmp_path / "nobody.png")
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    report = orientation_report.run(tmp_path, models_dir)
    assert report["images"] == 3
    assert [row["photos"] for row in report["rows"]] == [2] * 4
    for row in report["rows"]:
        auto = row["orientations"]["auto"]
        assert (auto["upright"], auto["wrong"], auto["none"]) == (1, 0, 1)
    assert report["rows"][0]["orientations"]["exif"]["upright"] == 1
    assert report["rows"][1]["orientations"]["exif"]["upright"] == 0
    assert "turned by 90 degrees (2): exif: 0 upright" in orientation_report.summary(report)
