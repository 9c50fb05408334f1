"""`python -m training clean`: planted label errors are found, listed, and left out of training."""

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics.pairwise import euclidean_distances
from typer.testing import CliRunner

from training.cleaning.label_errors import Duplicate, duplicates, groups, outliers
from training.cli.main import cli
from training.data.dataset import read_faces
from training.data.exclusions import Exclusions, UnusableExclusions
from training.pipeline import chunked_vectors
from training.pipeline.embeddings import Embeddings

COUNTS = {"ada": 5, "bob": 4, "cy": 6, "bob again": 3}


@pytest.fixture
def labelled() -> tuple[Embeddings, list[np.ndarray[Any, np.dtype[np.int64]]]]:
    """Faces near a center of each person; the second of cy is ada's, and `bob again` is bob."""
    random = np.random.default_rng(1)
    centers = dict(zip(COUNTS, random.standard_normal((4, 32)), strict=True))
    centers["bob again"] = centers["bob"]
    vectors = np.concatenate([centers[name] + 0.3 * random.standard_normal((n, 32)) for name, n in COUNTS.items()])
    vectors[10] = centers["ada"] + 0.3 * random.standard_normal(32)
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    faces_of = np.split(np.arange(18), np.cumsum(list(COUNTS.values()))[:-1])
    return Embeddings(vectors, np.linspace(0, 0.05, 18, dtype=np.float32)), faces_of


def test_a_photo_of_somebody_else_is_an_outlier(labelled: Any) -> None:
    embeddings, faces_of = labelled
    found = [outliers(embeddings, faces, 0.8) for faces in faces_of]
    assert [[outlier.face for outlier in each or ()] for each in found] == [[], [], [10], []]
    assert found[2] is not None
    others = [face for face in range(9, 15) if face != 10]
    scores = [((embeddings.vectors[10] - embeddings.vectors[face]) ** 2).sum() for face in others]
    scores = [
        score + embeddings.offsets[10] + embeddings.offsets[face] for score, face in zip(scores, others, strict=True)
    ]
    assert found[2][0].nearest == pytest.approx(min(scores), abs=1e-5)
    assert outliers(embeddings, np.array([0, 5, 9, 12]), 0.8) is None  # no half of them belongs together


def test_people_are_one_by_the_mean_score_of_all_pairs_of_their_faces(labelled: Any) -> None:
    embeddings, faces_of = labelled
    squared = euclidean_distances(embeddings.vectors, squared=True) + embeddings.offsets + embeddings.offsets[:, None]
    expected = {
        (a, b): squared[np.ix_(faces_of[a], faces_of[b])].mean() for a, b in combinations(range(len(faces_of)), 2)
    }
    found = duplicates(embeddings, faces_of, 4.5)
    assert {(each.first, each.second): pytest.approx(each.score, abs=1e-5) for each in found} == expected
    assert [(each.first, each.second) for each in duplicates(embeddings, faces_of, 0.8)] == [(1, 3)]
    assert duplicates(embeddings, [np.array([], np.int64)] * 2, 4.5) == []
    assert groups([Duplicate(0, 3, 0), Duplicate(3, 1, 0)], 5) == [[0, 1, 3]]


@pytest.fixture
def crops(tmp_path: Path, crowd: Path, models_dir: Path) -> Path:
    """Crops of two people in different light; one of Collins lies with Hopper, who has a second folder."""
    arguments = ["--images", crowd, "--output", tmp_path / "prepared", "--models-dir", models_dir]
    assert CliRunner().invoke(cli, ["prepare", *map(str, arguments)]).exit_code == 0
    prepared = [sorted((tmp_path / "prepared").rglob("*.png"))[number] for number in (0, 1, 4, 5, 2, 8, 9, 3, 6, 7)]
    names = ["hopper"] * 5 + ["grace"] * 2 + ["collins"] * 3
    for number, (path, name) in enumerate(zip(prepared, names, strict=True)):
        (tmp_path / "crops" / name).mkdir(parents=True, exist_ok=True)
        path.rename(tmp_path / "crops" / name / f"{number}.png")
    return tmp_path / "crops"


@pytest.mark.slow
def test_planted_errors_are_listed_and_excluded_and_a_stopped_command_goes_on(
    crops: Path, tmp_path: Path, models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunked_vectors, "CHUNK", 4)
    arguments = ["clean", crops, "--model", "mobilefacenet-128", "--models-dir", models_dir]
    arguments += ["--json", tmp_path / "clean.json", "--cache", tmp_path / "cache"]
    first = CliRunner().invoke(cli, [*map(str, arguments)], catch_exceptions=False)
    assert first.exit_code == 0, first.output
    report = json.loads((tmp_path / "clean.json").read_text())
    assert [each["file"] for each in report["outliers"]] == ["crops/hopper/4.png"]
    assert report["duplicates"] == [{"kept": "crops/hopper", "excluded": ["crops/grace"]}]
    assert report["exclude"] == ["crops/grace/5.png", "crops/grace/6.png", "crops/hopper/4.png"]
    assert "10 faces of 3 people: 1 outliers, 1 groups of people who are one" in first.output

    (tmp_path / "clean.json").unlink()
    chunks = sorted((tmp_path / "cache").rglob("*.npy"))
    chunks[-1].unlink()
    times = [chunk.stat().st_mtime_ns for chunk in chunks[:-1]]
    assert CliRunner().invoke(cli, [*map(str, arguments)], catch_exceptions=False).exit_code == 0
    assert json.loads((tmp_path / "clean.json").read_text()) == report
    assert [chunk.stat().st_mtime_ns for chunk in chunks[:-1]] == times

    kept = read_faces([crops], excluded=Exclusions.read([tmp_path / "clean.json"]))
    assert kept.names == ("crops/collins", "crops/hopper")
    assert [path.name[0] for path in kept.paths] == ["7", "8", "9", "0", "1", "2", "3"]


def test_a_list_in_text_names_files_by_root_folder_and_file(people: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("people/person1/0.png\npeople/person1/1.png\n\npeople/person5/2.png\n")
    kept = read_faces([people], excluded=Exclusions.read([tmp_path / "list.txt"]))
    assert kept.files == tuple(
        file for file in read_faces([people]).files if not file.startswith(("people/person1", "people/person5/2"))
    )
    assert kept.subset([1, 0]).files[0] == "people/person2/0.png"
    (tmp_path / "list.txt").write_text("crops/person1/0.png\n")
    with pytest.raises(
        UnusableExclusions, match=r"none of the 1 excluded files is there, such as crops/person1/0\.png"
    ):
        read_faces([people], excluded=Exclusions.read([tmp_path / "list.txt"]))


@pytest.mark.parametrize(("name", "text"), [("a.json", "{}"), ("a.json", '{"exclude": [1]}'), ("b.json", "no")])
def test_a_broken_list_is_refused_by_name(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UnusableExclusions, match=name):
        Exclusions.read([tmp_path / name])


@pytest.mark.slow
def test_a_model_without_calibration_needs_thresholds(crops: Path, tmp_path: Path, models_dir: Path) -> None:
    folder = tmp_path / "uncalibrated"
    folder.mkdir()
    for path in (models_dir / "mobilefacenet-128").iterdir():
        if path.name != "calibration.json":
            (folder / path.name).symlink_to(path)
    arguments = ["clean", str(crops), "--model", f"{folder}", "--json", str(tmp_path / "clean.json")]
    refused = CliRunner().invoke(cli, arguments)
    assert "run `calibrate`, or give --same-threshold" in str(refused.exception)
    arguments += ["--same-threshold", "1.1", "--duplicate-threshold", "0.9"]
    assert CliRunner().invoke(cli, arguments).exit_code == 0
