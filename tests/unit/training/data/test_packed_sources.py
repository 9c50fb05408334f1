"""Tar shards and insightface's .rec files, beside the folders that they were made of."""

import json
import os
import struct
import tarfile
from io import BytesIO
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from tests.support.records import record, write_records
from tests.unit.training.support import changed, weights
from training.cli.main import cli
from training.config.schema import TrainConfig
from training.data.dataset import FORMAT_112, CropFormat, FaceSet, read_crop, read_faces
from training.data.file_index import FileIndex
from training.data.loader import BatchLoader
from training.data.packed_files import MAGIC, Record, TornRecord
from training.data.packed_sources import UnusablePack, people_in_record_file, people_in_shards
from training.data.samplers import PeopleSampler
from training.data.shard_writer import write_shards
from training.data.sources import UnusableData
from training.engine import trainer

WORKERS: tuple[Literal["threads", "processes"], ...] = ("threads", "processes")


def pack(people: Path, output: Path) -> Path:
    """Pack crops into shards of two or three images."""
    write_shards([people], output, shard_bytes=2 * max(path.stat().st_size for path in people.rglob("*.png")))
    assert len(list(output.glob("*.tar"))) > 5
    return output


def test_shards_hold_the_people_files_and_bytes_of_the_folders(people: Path, tmp_path: Path) -> None:
    folders, shards = read_faces([people]), read_faces([pack(people, tmp_path / "shards" / "people")])
    assert (shards.names, shards.files, shards.file_digests) == (folders.names, folders.files, folders.file_digests)
    assert shards.digest == folders.digest
    for one, other in zip(folders.paths, shards.paths, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_a_run_on_shards_ends_with_the_weights_of_one_on_folders(
    config: TrainConfig, people: Path, tmp_path: Path
) -> None:
    shards = pack(people, tmp_path / "shards" / "people")
    expected = weights(trainer.train(config, tmp_path / "one", resume=False))
    packed = changed(config, "data", roots=[str(shards)])
    got = weights(trainer.train(packed, tmp_path / "two", resume=False))
    for name, part in expected.items():
        assert torch.equal(part, got[name])


def test_the_command_packs_and_packs_alike_again(people: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        done = CliRunner().invoke(cli, ["pack", str(people), "--output", str(tmp_path / name)], catch_exceptions=False)
        assert done.exit_code == 0
        assert "wrote 1 shards" in done.output
    one, other = (next((tmp_path / name).glob("*.tar")) for name in ("a", "b"))
    assert one.read_bytes() == other.read_bytes()
    with pytest.raises(UnusableData, match="expected a folder without shards"):
        write_shards([people], tmp_path / "a")
    with pytest.raises(UnusableData, match="got person0 in two"):
        write_shards([people, people], tmp_path / "c")


def test_an_index_remembers_what_is_in_shards(people: Path, tmp_path: Path) -> None:
    shards = pack(people, tmp_path / "shards")
    for path in shards.iterdir():
        times = path.stat()
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns - 10_000_000_000))
    index = FileIndex.open(tmp_path / "faces.index")
    first = read_faces([shards], index=index)
    index.write()
    again = FileIndex.open(tmp_path / "faces.index")
    assert len(again.known) == 18
    assert read_faces([shards], index=again).digest == first.digest
    assert again.current == again.known


def add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, BytesIO(data))


def test_shards_of_others_name_people_by_class_text_or_folder(people: Path, tmp_path: Path) -> None:
    image = (people / "person0" / "0.png").read_bytes()
    with tarfile.open(tmp_path / "others.tar", "w") as tar:
        tar.add(people, "ada", recursive=False)
        add(tar, "0001.png", image)
        add(tar, "0001.cls", b"17\n")
        add(tar, "0002.person.txt", b"no image")
        add(tar, "0003.png", image)
        add(tar, "0003.json", json.dumps({"person": 17}).encode())
        add(tar, "ada/5.png", image)
        add(tar, "ada/6.png", image)
    faces = read_faces([tmp_path / "others.tar"])
    assert faces.files == ("others/17/0001.png", "others/17/0003.png", "others/ada/5.png", "others/ada/6.png")
    with tarfile.open(tmp_path / "nobody.tar", "w") as tar:
        add(tar, "0001.png", image)
    with pytest.raises(UnusablePack, match=r"expected 0001\.json, \.cls or \.txt with the person"):
        read_faces([tmp_path / "nobody.tar"])
    (tmp_path / "broken.tar").write_bytes(b"no tar" * 200)
    with pytest.raises(UnusablePack, match="not an uncompressed tar file"):
        read_faces([tmp_path / "broken.tar"])


@pytest.mark.parametrize(
    ("label", "text"), [(".json", b'{"who": 17}'), (".json", b"{"), (".json", b"[17]"), (".cls", b"\xff")]
)
def test_a_label_without_a_person_is_named(tmp_path: Path, label: str, text: bytes) -> None:
    with tarfile.open(tmp_path / "others.tar", "w") as tar:
        add(tar, "0001.png", b"an image")
        add(tar, f"0001{label}", text)
    with pytest.raises(UnusablePack, match=rf"others\.tar: expected the person in 0001\{label}: "):
        people_in_shards([tmp_path / "others.tar"])


@pytest.fixture
def rec(tmp_path: Path) -> Path:
    """A train.rec of three people with two crops each of 112 px; one image holds the magic number twice."""
    images = []
    for number in range(6):
        pixels = cv2.resize(np.random.default_rng(number).integers(0, 256, (6, 6, 3), np.uint8), (112, 112))
        images.append(cv2.imencode(".jpg", pixels)[1].tobytes())
    magic = struct.pack("<I", MAGIC)
    images[3] = images[3] + b"\0" * (-len(images[3]) % 4) + magic + b"1234" + magic + b"56"
    records = [record([7.0, 10.0], b"", 0)]
    records += [record([float(number // 2)], image, number + 1) for number, image in enumerate(images[:5])]
    records += [record([2.0, 99.0], images[5], 6)]
    records += [record([1.0 + 2 * person, 3.0 + 2 * person], b"", 7 + person) for person in range(3)]
    write_records(records, tmp_path / "train.rec")
    np.save(tmp_path / "images.npy", np.array(images, object), allow_pickle=True)
    return tmp_path / "train.rec"


def test_a_record_file_gives_its_images_by_person(rec: Path) -> None:
    faces = read_faces([rec], crops=CropFormat(bare=True))
    images = np.load(rec.parent / "images.npy", allow_pickle=True)
    assert faces.names == ("train/0000000", "train/0000001", "train/0000002")
    assert faces.person_of == (0, 0, 1, 1, 2, 2)
    assert [path.read_bytes() for path in faces.paths] == images.tolist()
    crop = read_crop(faces.paths[0], faces.format)
    assert crop.shape == (144, 144, 3)
    pixels = np.asarray(cv2.imdecode(np.frombuffer(images[0], np.uint8), cv2.IMREAD_COLOR_RGB))
    np.testing.assert_array_equal(faces.format.geometry.center(crop), pixels)
    assert crop[:16].max() == crop[:, -16:].max() == 0


def test_crops_without_a_margin_need_an_option(rec: Path) -> None:
    with pytest.raises(UnusableData, match=r"set data\.bare to true"):
        read_faces([rec], crops=FORMAT_112)


def test_a_torn_record_file_is_refused(rec: Path) -> None:
    content = rec.read_bytes()
    rec.write_bytes(content[: len(content) // 2])
    with pytest.raises(UnusablePack, match="expected a record at"):
        read_faces([rec], crops=CropFormat(bare=True))
    rec.with_suffix(".idx").unlink()
    with pytest.raises(UnusablePack, match=r"train\.idx: expected lines of a key and an offset"):
        read_faces([rec], crops=CropFormat(bare=True))


def test_records_without_a_first_one_of_labels_are_all_images(tmp_path: Path) -> None:
    images = [b"image %d" % number for number in range(5)]
    path = write_records(
        [record([number % 2], image, number) for number, image in enumerate(images)], tmp_path / "x.rec"
    )
    with pytest.raises(UnusablePack, match=r"expected two labels in record 0, as in insightface's files, got 1"):
        people_in_record_file(path)
    index = path.with_suffix(".idx")
    index.write_text(index.read_text().partition("\n")[2])
    people = people_in_record_file(path)
    assert [[image.read_bytes() for image in files.values()] for files in people.values()] == [
        images[2::2],
        images[1::2],
    ]
    assert people["0000001"]["1.jpg"].name == f"x.rec@{len(record([0], images[0], 0))}"


def test_a_cut_record_says_what_is_missing(tmp_path: Path) -> None:
    whole, image = record([4.0, 5.0], b"an image", 0), Record(tmp_path / "x.rec", 0)
    for length, read, complaint in (
        (len(whole) - 1, image.read_bytes, f"expected {len(whole) - 8} bytes in the record at byte 0 of"),
        (len(whole) - 10, image.labels, r"expected 2 labels in .*x\.rec@0"),
        (5, image.read_bytes, "expected a record at byte 0 of"),
        (5, image.labels, r"expected a record at .*x\.rec@0"),
    ):
        image.path.write_bytes(whole[:length])
        with pytest.raises(TornRecord, match=complaint):
            read()


@pytest.mark.slow
def test_processes_make_the_views_of_threads(faces: FaceSet, config: TrainConfig) -> None:
    sampler = PeopleSampler(faces.faces_of, 3, 2, seed=1)
    loaders = [BatchLoader(faces, sampler, config.augmentation, 5, num_workers=2, workers=kind) for kind in WORKERS]
    one, other = (list(loader.prefetch(0, 3)) for loader in loaders)
    for (step, batch), (same_step, same) in zip(one, other, strict=True):
        assert step == same_step
        assert torch.equal(batch.views, same.views)
        assert torch.equal(batch.views, loaders[0].batch(step).views)
