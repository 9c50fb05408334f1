"""`python -m training evaluate`, through the served pipeline, on copies of two faces."""

import csv
import json
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from app.domain.arrays import Pixels
from tests.support.photos import COLLINS_BOX, HOPPER_BOX
from training.cli.main import cli
from training.data import photo_groups
from training.errors import TrainingError
from training.evaluation import cropping_report, hardest_pairs, robustness
from training.evaluation.cropping import BORDERS, LandmarkFinder
from training.pipeline.detection_cache import FaceFinder
from training.pipeline.embeddings import Embeddings
from training.pipeline.served_model import ServedModel

Evaluate = Callable[..., tuple[dict[str, Any], str]]
PAIRS = """2 2
Hopper 1 2
Collins 1 2
Hopper 1 Collins 1
Hopper 2 Collins 2
Hopper 1 3
Collins 1 3
Hopper 3 Collins 1
Hopper 1 Collins 3
"""


@pytest.fixture
def photos(tmp_path: Path, lfw_photos: Path) -> Path:
    (tmp_path / "pairs.txt").write_text(PAIRS)
    return lfw_photos


@pytest.fixture
def evaluate(tmp_path: Path, models_dir: Path) -> Evaluate:
    """Run a command below `evaluate`; return its report and output."""

    def run(*arguments: object) -> tuple[dict[str, Any], str]:
        given = [*map(str, arguments), "--model", "mobilefacenet-128", "--models-dir", str(models_dir)]
        given += ["--json", str(tmp_path / "report.json"), "--cache", str(tmp_path / "cache")]
        done = CliRunner().invoke(cli, ["evaluate", *given], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return json.loads((tmp_path / "report.json").read_text()), done.output

    return run


def test_the_hardest_pairs_are_those_of_all_pairs() -> None:
    random = np.random.default_rng(0)
    vectors = random.standard_normal((12, 5))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    embeddings = Embeddings(vectors, np.linspace(-0.3, 0.3, 12, dtype=np.float32))
    offsets, person_of = embeddings.offsets, np.arange(12) // 3
    pairs = [
        (a, b, float(((vectors[a] - vectors[b]) ** 2).sum() + offsets[a] + offsets[b]))
        for a in range(12)
        for b in range(a + 1, 12)
    ]
    impostors = sorted((p for p in pairs if person_of[p[0]] != person_of[p[1]]), key=lambda pair: pair[2])[:4]
    missed = sorted((p for p in pairs if person_of[p[0]] == person_of[p[1]]), key=lambda pair: -pair[2])[:4]
    for found, expected in zip(hardest_pairs.hardest(embeddings, person_of, 4), (impostors, missed), strict=True):
        assert [pair[:2] for pair in found] == [pair[:2] for pair in expected]
        assert [pair[2] for pair in found] == pytest.approx([pair[2] for pair in expected], abs=1e-5)


def write_pairs(photos: Path, file: Path) -> Path:
    """List a genuine pair of each folder, and an impostor pair with the next folder, in two folds."""
    people = [sorted(folder.iterdir()) for folder in sorted(photos.iterdir())]
    named = [[path.relative_to(photos).as_posix() for path in person] for person in people]
    rows = [f"{one[0]},{one[1]},1,{number % 2}" for number, one in enumerate(named)]
    rows += [f"{one[0]},{two[0]},0,{number % 2}" for number, (one, two) in enumerate(pairwise(named))]
    file.write_text("\n".join(["first,second,same,fold", *rows]))
    return file


@pytest.mark.slow
def test_the_lfw_report_has_groups_curves_and_an_error_picture(crowd: Path, evaluate: Evaluate, tmp_path: Path) -> None:
    rows = [f"{path.relative_to(crowd)},navy" for path in crowd.rglob("*.jpg")]
    (tmp_path / "groups.csv").write_text("\n".join(["path,group", *rows]))
    options = ["--groups", tmp_path / "groups.csv", "--plot", tmp_path / "det.png", "--errors", tmp_path / "errors.png"]
    pairs = write_pairs(crowd, tmp_path / "pairs.csv")
    report, output = evaluate("lfw", "--images", crowd, "--pairs", pairs, *options)
    (navy,) = report["groups"]
    assert (navy["name"], navy["people"], navy["impostor_pairs"], navy["genuine_pairs"]) == ("navy", 12, 264, 12)
    assert report["group_threshold"]["fmr"] == pytest.approx(3 / 66)
    assert 0.03 < navy["fmr"] <= 3 / 66
    assert "navy: FMR 0.0" in output
    with (tmp_path / "det.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert {line["probes"] for line in lines} == {"clean", "degraded"}
    assert len(lines) == sum(len(each["curve"]) for each in report["all_pairs"].values())
    with Image.open(tmp_path / "errors.png") as picture:
        assert picture.width > 500


@pytest.mark.slow
def test_no_rate_is_stated_that_the_pairs_of_people_do_not_support(
    crowd: Path, evaluate: Evaluate, tmp_path: Path
) -> None:
    pairs = write_pairs(crowd, tmp_path / "pairs.csv")
    report, output = evaluate("lfw", "--images", crowd, "--pairs", pairs, "--baseline", "mobilefacenet-128")
    for measured in (*report["all_pairs"].values(), *report["baseline"]["all_pairs"].values()):
        assert (measured["impostor_people_pairs"], measured["finest_fmr"]) == (66, pytest.approx(3 / 66))
        assert measured["tmr"] == []  # the coarsest row of the table is FMR 0.01
        assert min(point["fmr"] for point in measured["curve"]) > 2 / 66
    assert report["gain"]["clean"] == []
    assert report["val"]["far"] == pytest.approx(3 / 5)  # 5 impostor pairs in the smaller fold
    assert "clean: 66 pairs of people support FMRs down to 4.5e-02" in output
    assert "TMR" not in output
    assert "at FAR 0.6;" in output


def test_rates_of_groups_need_enough_people(photos: Path, evaluate: Evaluate, tmp_path: Path) -> None:
    (tmp_path / "groups.csv").write_text("path,group\nHopper/Hopper_0001.jpg,navy\n")
    options = ["--groups", tmp_path / "groups.csv", "--pairs", tmp_path / "pairs.txt"]
    with pytest.raises(TrainingError, match="--groups: 1 pairs of people support no FMR: add people"):
        evaluate("lfw", "--images", photos, *options)


@pytest.mark.slow
def test_pairs_without_people_are_evaluated_without_all_pairs(photos: Path, evaluate: Evaluate, tmp_path: Path) -> None:
    rows = ["Hopper/Hopper_0001.jpg,Collins/Collins_0001.jpg,1,a", "Hopper/Hopper_0001.jpg,Hopper/Hopper_0002.jpg,0,b"]
    rows += ["Hopper/Hopper_0001.jpg,Hopper/Hopper_0003.jpg,1,b", "Hopper/Hopper_0002.jpg,Collins/Collins_0002.jpg,0,a"]
    (tmp_path / "pairs.csv").write_text("\n".join(["first,second,same,fold", *rows]))
    options = ["--baseline", "mobilefacenet-128", "--plot", tmp_path / "det.png"]
    report, output = evaluate("lfw", "--images", photos, "--pairs", tmp_path / "pairs.csv", *options)
    assert "images of unknown people, 0 faces not found" in output
    assert (report["people"], report["all_pairs"], report["gain"]) == (None, {}, {})
    assert len(report["accuracy"]["folds"]) == 2
    assert (tmp_path / "det.csv").exists()


@pytest.mark.slow
def test_a_model_is_compared_with_another_in_one_command(photos: Path, evaluate: Evaluate, tmp_path: Path) -> None:
    report, output = evaluate(
        "lfw", "--images", photos, "--pairs", tmp_path / "pairs.txt", "--baseline", "mobilefacenet-128"
    )
    assert report["gain"]["protocol"]["accuracy"] == {"mean": 0.0, "interval": [0.0, 0.0]}
    assert "gain over the baseline, accuracy: +0.0000 [+0.0000, +0.0000]" in output


def test_cohorts_are_folders_or_groups_of_a_csv(
    photos: Path, evaluate: Evaluate, models_dir: Path, tmp_path: Path
) -> None:
    by_folder = tmp_path / "cohorts"
    (by_folder / "navy").mkdir(parents=True)
    for name in ("Hopper", "Collins"):
        shutil.copy(photos / name / f"{name}_0001.jpg", by_folder / "navy")
    (photos / "groups.csv").write_text(
        "path,group,person\nHopper/Hopper_0001.jpg,navy,Hopper\nHopper/Hopper_0002.jpg,navy,Hopper\n"
        "Collins/Collins_0001.jpg,navy,Collins\n"
    )
    folders, output = evaluate("cohorts", "--images", by_folder, "--baseline", "mobilefacenet-128", "--views")
    listed, _ = evaluate("cohorts", "--csv", photos / "groups.csv", "--threshold", "4")
    assert [(row["people"], row["impostor_pairs"], row["fmr"]) for row in folders["cohorts"]] == [(2, 1, 0.0)]
    calibration = ServedModel.open(models_dir / "mobilefacenet-128").calibration
    assert calibration is not None
    assert folders["threshold"] == calibration.at(1e-4).threshold
    assert (folders["worst"], folders["few_people"]["cohorts"]) == (None, 1)
    assert 0 <= folders["cohorts"][0]["fnmr_lower_bound"] <= 1
    assert "1 smaller cohorts together: FMR 0" in output
    assert [(row["people"], row["impostor_pairs"], row["fmr"]) for row in listed["cohorts"]] == [(2, 2, 1.0)]
    assert "navy: FMR 0 [0, 1]" in output


@pytest.mark.slow
def test_sensitivity_has_one_row_per_condition(photos: Path, evaluate: Evaluate, tmp_path: Path) -> None:
    Image.new("RGB", (300, 300)).save(photos / "Collins" / "Collins_0003.jpg")  # nobody: a miss in a pair of eight
    conditions = ["--quality", "10", "--face", "40", "--face", "24"]
    report, output = evaluate("sensitivity", "--images", photos, "--pairs", tmp_path / "pairs.txt", *conditions)
    assert [(row["kind"], row["value"]) for row in report["rows"]] == [
        ("as it is", None),
        ("jpeg_quality", 10),
        ("face_width", 40),
        ("face_width", 24),
    ]
    assert report["rows"][0]["accuracy"]["mean"] == 7 / 8
    assert {row["faces_not_found"] for row in report["rows"][:3]} == {1}
    assert "jpeg_quality 10: VAL" in output
    with pytest.raises(TrainingError, match="no face found: face_width 12"):
        evaluate("sensitivity", "--images", photos, "--pairs", tmp_path / "pairs.txt", "--face", "12")


def test_a_face_is_shrunk_to_its_width_and_never_enlarged(photos: Path, models_dir: Path) -> None:
    finder = FaceFinder(models_dir)
    (path, *_) = sorted(photos.rglob("*.jpg"))
    (face,) = finder.find_all([path], "detect").faces
    assert face
    shrunk, unchanged = robustness.conditions([], [30, 4000])[1:]
    with Image.open(path) as image:
        photo = np.asarray(image)
    small = finder.find(shrunk.change(photo, face.box))
    assert small
    assert small.box.width == pytest.approx(30, rel=0.15)
    assert np.array_equal(unchanged.change(photo, face.box), photo)


@pytest.fixture
def cohorts(tmp_path: Path, hopper: Pixels, collins: Pixels) -> Path:
    """Two people, cut to the face and once to a little more, in each of two cohorts; another cohort shows nobody."""
    for cohort, margin in (("old", 0), ("young", 12), ("empty", None)):
        (tmp_path / "cohorts" / cohort).mkdir(parents=True)
        for name, pixels, box in (("hopper", hopper, HOPPER_BOX), ("collins", collins, COLLINS_BOX)):
            left, top, right, bottom = np.rint(box).astype(int) + (margin or 0) * np.array([-1, -1, 1, 1])
            cut = pixels[top:bottom, left:right] if margin is not None else np.zeros((90, 90, 3), np.uint8)
            Image.fromarray(cut).save(tmp_path / "cohorts" / cohort / f"{name}.png")
    return tmp_path / "cohorts"


@pytest.mark.slow
def test_cropping_tells_missing_pixels_from_wrong_landmarks(photos: Path, cohorts: Path, evaluate: Evaluate) -> None:
    only = ["--only", "old", "--only", "you*"]
    report, output = evaluate("cropping", "--images", photos, "--cohorts", cohorts, *only)
    found = ["facenet-pytorch's", "refined", *(f"photo padded, {border}" for border in BORDERS)]
    others = [border for border in BORDERS if border != "black"]
    people, alike = report["known_people"], report["cohorts"]
    assert [(row["photos"], row["landmarks"], row["border"]) for row in people] == [
        ("whole", "known", "black"),
        *[("cut", name, "black") for name in ("known", *found)],
        *[("cut", "known", border) for border in others],
    ]
    assert [(row["landmarks"], row["border"]) for row in alike] == [
        *[(name, "black") for name in found],
        *[("refined", border) for border in others],
    ]
    whole, cut = people[0], [row for row in people[1:] if row["landmarks"] == "known"]
    assert (whole["fmr"], whole["fnmr"], whole["tmr"], whole["off"]) == (0, 0, 1, 0)
    assert whole["median_inside"] > 0.95
    assert {(row["off"], row["median_inside"] < 0.9) for row in cut} == {(0, True)}
    assert min(row["off"] for row in people if row["landmarks"] != "known") > 0
    assert alike[1]["between"] == alike[1]["median_within"] == alike[1]["faces_not_found"] == 0
    assert "whole, landmarks known, border black: inside 1.00, landmarks off 0.0 px, FMR 0, FNMR 0.000" in output
    assert "cohorts, landmarks refined, border grey: inside 0." in output


def test_cropping_refuses_cohorts_without_a_face(photos: Path, cohorts: Path, evaluate: Evaluate) -> None:
    with pytest.raises(TrainingError, match="no face found in the photos of the cohorts"):
        evaluate("cropping", "--images", photos, "--cohorts", cohorts, "--only", "empty")


def test_cropping_names_the_landmarks_that_were_found_in_no_photo(
    photos: Path, cohorts: Path, models_dir: Path
) -> None:
    finder, model = FaceFinder(models_dir), ServedModel.open(models_dir / "mobilefacenet-128")
    finders: dict[str, LandmarkFinder] = {"known": lambda _, points: points, "blind": lambda *_: None}
    with pytest.raises(TrainingError, match="no face found: landmarks blind, border black"):
        cropping_report.run(photos, photo_groups.from_folders(cohorts), model, 1.1, finder, finders)
