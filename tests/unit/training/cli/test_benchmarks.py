"""Standard benchmarks: InsightFace's .bin files, IJB's templates and the table, beside scikit-learn."""

import json
import pickle
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from skimage.transform import SimilarityTransform
from skimage.transform import warp as transform_image
from sklearn.metrics import roc_curve
from sklearn.model_selection import KFold
from typer.testing import CliRunner

from app.domain.arrays import Pixels
from app.faces.alignment import ARCFACE_112
from training.cli.main import cli
from training.data.crops import CROPS_112
from training.errors import TrainingError
from training.evaluation.bin_file import BinFile, UnusableBin, read_bin
from training.evaluation.rates_at import tar_at
from training.evaluation.template_lists import UnusableTemplates
from training.evaluation.templates import pooled, read_task
from training.pipeline.detection_cache import FaceFinder
from training.pipeline.served_model import ServedModel

MODEL = "mobilefacenet-128"


def command(*arguments: object) -> str:
    done = CliRunner().invoke(cli, ["evaluate", *map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture
def crops(lfw_photos: Path, models_dir: Path) -> list[Pixels]:
    """The aligned crops of two people, three each."""
    detected = FaceFinder(models_dir).find_all(sorted(lfw_photos.rglob("*.jpg")), "detect")
    pixels = detected.crops(CROPS_112.aligner(), "align").pixels
    return [CROPS_112.center(crop) for crop in pixels]


def warp(photo: Pixels, transform: Any) -> Pixels:
    return np.asarray(np.rint(255 * transform_image(photo, transform, output_shape=(112, 112))), np.uint8)


def changed(crop: Pixels, random: np.random.Generator) -> bytes:
    """Return a JPEG of the crop, darker or lighter, with noise."""
    noisy = crop * random.uniform(0.3, 1.2) + random.normal(0, 40, crop.shape)
    return cv2.imencode(".jpg", noisy.clip(0, 255).astype(np.uint8)[..., ::-1])[1].tobytes()


@pytest.fixture
def bin_content(crops: list[Pixels]) -> tuple[list[bytes], list[Any]]:
    """47 pairs, which ten folds do not share evenly."""
    random = np.random.default_rng(3)
    images, same = [], []
    for number in range(47):
        one, other = random.integers(0, 3, 2)
        first, second = (one, other) if number % 2 else (one, 3 + other)
        images += [changed(crops[first], random), changed(crops[second], random)]
        same.append(np.bool_(number % 2))
    return images, same


def best_accuracy(train: Any, tested: Any) -> float:
    """Try every threshold between two distances, and return the accuracy of the best on other pairs."""
    (distances, same), (others, others_same) = train, tested
    ranked = np.sort(distances)
    cuts = np.concatenate([[ranked[0] - 1e-6], (ranked[1:] + ranked[:-1]) / 2, [ranked[-1]]])
    accuracies = [np.mean((distances <= cut) == same) for cut in cuts]
    return float(np.mean((others <= cuts[int(np.argmax(accuracies))]) == others_same))


@pytest.mark.slow
def test_a_bin_file_is_measured_over_ten_folds_and_at_fars(
    bin_content: tuple[list[bytes], list[Any]], tmp_path: Path, models_dir: Path
) -> None:
    images, same = bin_content
    file = tmp_path / "agedb_30.bin"
    file.write_bytes(pickle.dumps((images, same), protocol=2))
    command("bin", file, "--model", MODEL, "--models-dir", models_dir, "--json", tmp_path / "report.json")
    report = json.loads((tmp_path / "report.json").read_text())["benchmarks"]["agedb_30"]

    decoded = [np.asarray(Image.open(BytesIO(image))) for image in images]
    embeddings = ServedModel.open(models_dir / MODEL).embed(np.stack(decoded), "embed")
    vectors, offsets = embeddings.vectors.astype(np.float64), embeddings.offsets
    distances = ((vectors[::2] - vectors[1::2]) ** 2).sum(1) + offsets[::2] + offsets[1::2]
    flags = np.array(same, bool)
    expected = [
        best_accuracy((distances[train], flags[train]), (distances[test], flags[test]))
        for train, test in KFold(10).split(distances)
    ]
    assert report["accuracy"]["folds"] == pytest.approx(expected)
    assert report["accuracy"]["mean"] == pytest.approx(np.mean(expected))
    assert 0.5 < np.mean(expected) < 1
    assert (report["tar"][0]["far"], report["tar"][0]["supported"], report["tar"][1]["supported"]) == (
        0.1,
        False,
        False,
    )


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_pickle_of_either_protocol_is_read(tmp_path: Path, protocol: int) -> None:
    images, same = [bytes([number]) for number in range(40)], [np.bool_(number % 2) for number in range(20)]
    (tmp_path / "lfw.bin").write_bytes(pickle.dumps((images, same), protocol=protocol))
    found = read_bin(tmp_path / "lfw.bin")
    assert (found.images, found.same.tolist()) == (images, same)


@pytest.mark.parametrize("far", [0.001, 0.01, 0.05, 0.3, 1])
def test_tar_at_far_is_the_point_of_scikit_learns_curve(far: float) -> None:
    random = np.random.default_rng(4)
    same = random.random(3000) < 0.4
    distances = np.round(random.normal(1.2 - 0.5 * same, 0.3), 2)  # with ties
    rates, found, _ = roc_curve(same, -distances, drop_intermediate=False)
    (row,) = tar_at(distances, same, [far])
    assert row["tar"] == pytest.approx(found[rates <= far].max())
    assert row["supported"] == (far >= 3 / (~same).sum())


class Call:
    def __reduce__(self) -> Any:
        return eval, ("1 + 1",)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (Call(), "it calls builtins.eval, which no such file needs"),
        ([1, 2, 3], "expected a pickle of a list of images and a list of flags"),
        (([b""] * 40, [True] * 30), "two images for each of 20 pairs or more, got 40 images"),
        (([b""] * 40, [True] * 20), "expected genuine and impostor pairs"),
        ((["a"] * 40, [True] * 20), "expected encoded images"),
    ],
)
def test_a_file_that_calls_code_or_holds_something_else_is_refused(
    tmp_path: Path, content: object, complaint: str
) -> None:
    (tmp_path / "lfw.bin").write_bytes(pickle.dumps(content))
    with pytest.raises(UnusableBin, match=complaint):
        read_bin(tmp_path / "lfw.bin")


def test_a_missing_file_and_an_image_of_another_size_are_named(tmp_path: Path) -> None:
    with pytest.raises(UnusableBin, match=r"cannot read .*lfw\.bin: No such file"):
        read_bin(tmp_path / "lfw.bin")
    images = [cv2.imencode(".png", np.zeros((112, 96, 3), np.uint8))[1].tobytes(), b"no image", b""]
    for number, got in enumerate(("96 x 112", "none", "none")):
        with pytest.raises(UnusableBin, match=f"image {number}: expected an image of 112 x 112 pixels, got {got}"):
            BinFile(images, np.array([True])).crops(range(number, number + 1))


def test_a_model_that_crops_by_the_box_cannot_be_measured_on_crops_or_landmarks(
    lists: Path, boxed_model: Path, lfw_photos: Path
) -> None:
    with pytest.raises(TrainingError, match="boxed: expected a model of ArcFace crops of 112 px"):
        command("bin", lists / "faces.txt", "--model", boxed_model, "--json", lists / "report.json")
    files = [f"--{name}={lists / name}.txt" for name in ("faces", "media", "pairs")]
    with pytest.raises(TrainingError, match="boxed: expected a model that aligns faces by landmarks"):
        command("templates", *files, "--images", lfw_photos, "--model", boxed_model, "--json", lists / "report.json")


@pytest.fixture
def lists(lfw_photos: Path, tmp_path: Path, models_dir: Path) -> Path:
    """Lists of IJB's kind: four templates of two people, of which one has two photos of one medium."""
    paths = sorted(lfw_photos.rglob("*.jpg"))  # Collins 1 to 3, Hopper 1 to 3
    detected = FaceFinder(models_dir).find_all(paths, "detect")
    names = [str(path.relative_to(lfw_photos)) for path in paths]
    points = [face.landmarks.points for face in detected.faces if face]
    lines = [
        " ".join([name, *map(str, p.ravel()), str(0.5 + 0.08 * n)])
        for n, (name, p) in enumerate(zip(names, points, strict=True))
    ]
    (tmp_path / "faces.txt").write_text("\n".join(lines))
    numbers = [(7, 1), (7, 1), (9, 2), (2, 3), (4, 3), (4, 5)]
    (tmp_path / "media.txt").write_text(
        "\n".join(f"{name} {t} {m}" for name, (t, m) in zip(names, numbers, strict=True))
    )
    (tmp_path / "pairs.txt").write_text("7 9 1\n2 4 1\n7 2 0\n7 4 0\n9 2 0\n9 4 0\n")
    return tmp_path


def test_templates_are_pooled_by_media_and_compared(lists: Path, lfw_photos: Path, models_dir: Path) -> None:
    files = [f"--{name}={lists / name}.txt" for name in ("faces", "media", "pairs")]
    arguments = [*files, "--images", lfw_photos, "--model", MODEL, "--models-dir", models_dir]
    output = command("templates", *arguments, "--json", lists / "ijbc.json", "--cache", lists / "cache")
    report = json.loads((lists / "ijbc.json").read_text())
    assert (report["faces"], report["templates"], report["pairs"]) == (6, 4, {"genuine": 2, "impostor": 4})
    assert [row["tar"] for row in report["tar"]] == [1.0] * 6
    assert "6 faces in 4 templates" in output
    command("templates", *arguments, "--json", lists / "again.json", "--cache", lists / "cache")
    assert json.loads((lists / "again.json").read_text()) == report
    task = read_task(lists / "faces.txt", lists / "media.txt", lists / "pairs.txt").faces
    aligned = [
        warp(
            np.asarray(Image.open(lfw_photos / name)),
            SimilarityTransform.from_estimate(points, np.array(ARCFACE_112)).inverse,
        )
        for name, points in zip(task.images, task.landmarks, strict=True)
    ]
    served = ServedModel.open(models_dir / MODEL)
    faces = served.embed(np.stack(aligned), "embed").vectors * task.scores[:, None]
    templates = [faces[:2].mean(0), faces[2], faces[3], faces[4] + faces[5]]  # 7, 9, 2, 4
    one, two, three, four = (each / np.linalg.norm(each) for each in templates)
    nearest = min(float(((a - b) ** 2).sum()) for a in (one, two) for b in (three, four))
    assert report["tar"][0]["threshold"] == pytest.approx(nearest, abs=5e-3)  # interpolation of another library
    for text, complaint in (("7 9 one\n", "cannot read"), ("7 9\n2 4\n", "expected 3 columns, got 2")):
        (lists / "pairs.txt").write_text(text)
        with pytest.raises(UnusableTemplates, match=complaint):
            read_task(lists / "faces.txt", lists / "media.txt", lists / "pairs.txt")
    (lists / "pairs.txt").write_text("7 9 1\n7 3 0\n")
    with pytest.raises(UnusableTemplates, match="1 templates have no image, such as 3"):
        read_task(lists / "faces.txt", lists / "media.txt", lists / "pairs.txt")


def test_pooling_is_that_of_a_loop_over_templates_and_media() -> None:
    random = np.random.default_rng(5)
    vectors = random.standard_normal((60, 4)).astype(np.float32)
    template_of, medium_of = random.integers(0, 7, 60) * 11, random.integers(0, 5, 60)
    names, got = pooled(vectors, template_of, medium_of)
    for name, vector in zip(names, got, strict=True):
        own = template_of == name
        total = sum(vectors[own & (medium_of == medium)].mean(0) for medium in set(medium_of[own].tolist()))
        np.testing.assert_allclose(vector, total / np.linalg.norm(total), atol=1e-6)


def test_probes_are_searched_in_each_gallery(lists: Path, lfw_photos: Path, models_dir: Path) -> None:
    head = "TEMPLATE_ID,SUBJECT_ID,FILENAME\n"
    for name, text in (("g1", "9,20,img/a.jpg\n"), ("g2", "4,30,img/b.jpg\n4,30,img/c.jpg\n")):
        (lists / f"{name}.csv").write_text(head + text)
    (lists / "probes.csv").write_text(f"{head}7,20,img/d.jpg\n2,30,frames/e.jpg\n")
    files = [f"--{name}={lists / name}.txt" for name in ("faces", "media")]
    searched = ["--gallery", lists / "g1.csv", "--gallery", lists / "g2.csv", "--probes", lists / "probes.csv"]
    model = ["--images", lfw_photos, "--model", MODEL, "--models-dir", models_dir]
    output = command("templates", *files, *searched, *model, "--json", lists / "ijbc.json")
    report = json.loads((lists / "ijbc.json").read_text())
    assert "tar" not in report
    assert {name: rates["mated"] for name, rates in report["identification"]["galleries"].items()} == {"g1": 1, "g2": 1}
    assert [row["tpir"] for row in report["identification"]["tpir"]] == [1.0, 1.0]
    assert "rank 1 1.0000" in output
    refused = CliRunner().invoke(
        cli, ["evaluate", "templates", *map(str, [*files, *model, "--json", lists / "x.json"])]
    )
    assert "expected --pairs, or --gallery and --probes" in str(refused.exception)


def test_the_table_has_a_row_for_each_model_and_a_column_for_each_benchmark(tmp_path: Path) -> None:
    accuracy = {"mean": 0.98765, "error": 0.001}
    tar = [{"far": far, "tar": 0.9, "supported": far > 1e-5} for far in (1e-3, 1e-4, 1e-5)]
    reports = {
        "bin": {"model": {"id": "one"}, "benchmarks": {"lfw": {"accuracy": accuracy}, "calfw": {"accuracy": accuracy}}},
        "ijbc": {"model": {"id": "one"}, "tar": tar},
        "ijbb": {
            "model": {"id": "one"},
            "identification": {
                "rank": {"1": 0.8},
                "tpir": [
                    {"fpir": 0.1, "tpir": 0.7, "supported": True},
                    {"fpir": 0.01, "tpir": 0.6, "supported": False},
                ],
            },
        },
        "rfw_african": {"model": {"id": "two"}, "accuracy": accuracy},
    }
    for name, report in reports.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(report))
    files = [tmp_path / f"{name}.json" for name in reports]
    command("table", *files, "--output", tmp_path / "results.md")
    assert (tmp_path / "results.md").read_text() == (
        "| model | lfw | calfw | ijbc, TAR at FAR 0.0001 | ijbb, rank 1 | ijbb, TPIR at FPIR 0.1 | rfw_african |\n"
        "| --- | --- | --- | --- | --- | --- | --- |\n"
        "| one | 98.77 +- 0.10 | 98.77 +- 0.10 | 90.00 | 80.00 | 70.00 |  |\n"
        "| two |  |  |  |  |  | 98.77 +- 0.10 |\n"
    )
    (tmp_path / "other.json").write_text("{}")
    refused = CliRunner().invoke(cli, ["evaluate", "table", str(tmp_path / "other.json")])
    assert "other.json: expected a report of `evaluate bin`, `lfw` or `templates`" in str(refused.exception)
