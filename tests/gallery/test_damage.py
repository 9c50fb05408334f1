"""Damage is found and named, never a crash."""

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from app.domain.errors import ServiceError
from tests.support.records import FileRecords
from tests.support.templates import numbered


@pytest.fixture
def filled(path: Path) -> Path:
    """A closed file of two faces."""
    records = FileRecords(path)
    records.enroll("guests", "ada", numbered("ada", 1, 2))
    records.close()
    return path


def set_vector(path: Path, data: bytes) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE faces SET vector = ? WHERE id = '2'", (data,))


def damage(path: Path) -> list[str]:
    records = FileRecords(path)
    found = records.damage()
    records.close()
    return found


def test_a_whole_file_has_no_damage(filled: Path) -> None:
    assert damage(filled) == []


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (np.array([1, 1], np.float32).tobytes(), "vector of length 1.4142, want 1"),
        (np.array([np.nan, 1], np.float32).tobytes(), "vector of length nan, want 1"),
        (b"", "vector of length 0.0000, want 1"),
        (b"seven..", "7 bytes are no float32 vector"),
    ],
)
def test_a_vector_that_is_none_is_named(filled: Path, data: bytes, fault: str) -> None:
    set_vector(filled, data)

    assert damage(filled) == [f"face 2: {fault}"]


@pytest.mark.parametrize("seed", range(8))
def test_bytes_that_were_overwritten_are_found_or_harmless(filled: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    data = bytearray(filled.read_bytes())
    start = int(random.integers(4096, len(data) - 500))  # behind the first page: without it, it is no database
    data[start : start + 500] = random.bytes(500)
    filled.write_bytes(data)

    assert all(isinstance(line, str) and line for line in damage(filled))


def test_a_file_cut_short_cannot_be_opened(filled: Path) -> None:
    data = filled.read_bytes()
    filled.write_bytes(data[: len(data) // 2])

    with pytest.raises(ServiceError, match="malformed"):
        FileRecords(filled)
