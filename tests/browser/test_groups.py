"""Groups: a folder of photos becomes groups of faces, one a person."""

from pathlib import Path

import numpy as np
from playwright.sync_api import Page, expect

from app.matching.clustering import cluster_faces
from tests.browser.conftest import Open
from tests.support.photos import (
    COLLINS,
    COLLINS_AGAIN,
    HOPPER,
    HOPPER_AGAIN,
    NO_FACE,
    collins,
    hopper,
    jpeg,
    side_by_side,
)


def folder_of(path: Path, **photos: bytes) -> Path:
    for name, photo in photos.items():
        (path / f"{name}.jpg").write_bytes(photo)
    return path


def names(page: Page) -> list[list[str]]:
    groups = page.locator("#groups .group")
    return [sorted(groups.nth(index).locator("li span").all_inner_texts()) for index in range(groups.count())]


def test_photos_are_grouped_by_person(open_page: Open, tmp_path: Path) -> None:
    both = jpeg(side_by_side(collins(), hopper()))
    photos = {"a": COLLINS, "b": HOPPER, "c": COLLINS_AGAIN, "d": HOPPER_AGAIN, "e": NO_FACE, "f": both}
    (tmp_path / "notes.txt").write_text("not a photo")
    page = open_page("groups")
    page.locator("#groups input[webkitdirectory]").set_input_files(folder_of(tmp_path, **photos))

    expect(page.locator("#groups .group")).to_have_count(2)
    assert sorted(names(page)) == [["a.jpg", "c.jpg", "f.jpg"], ["b.jpg", "d.jpg", "f.jpg"]]
    expect(page.locator("#groups .rejected")).to_contain_text("e.jpg")
    expect(page.locator("#groups .rejected")).to_contain_text("No face was found.")
    expect(page.locator("#groups .meaning")).to_have_text(
        "6 photos with 6 faces: 2 people on several photos, 0 on one each. 1 photo could not be used."
    )


def test_the_groups_are_those_of_the_service(open_page: Open) -> None:
    random = np.random.default_rng(0)
    people = random.normal(size=(12, 16))
    vectors = np.repeat(people, 5, axis=0) + random.normal(scale=0.55, size=(60, 16))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    offsets = random.uniform(-0.1, 0.2, size=60)
    faces = [
        {"embedding": vector.tolist(), "threshold_offset": offset}
        for vector, offset in zip(vectors, offsets.tolist(), strict=True)
    ]
    page = open_page("groups")
    for threshold in (0.3, 0.6, 0.9):
        expected = cluster_faces(vectors.astype(np.float32), threshold, offsets.astype(np.float32))
        groups = page.evaluate(
            "async ([faces, threshold]) => (await import('/page/parts/clustering.js')).cluster(faces, threshold)",
            [faces, threshold],
        )
        assert 1 < len(groups) < 60
        assert groups == [np.flatnonzero(expected == label).tolist() for label in range(expected.max() + 1)]
