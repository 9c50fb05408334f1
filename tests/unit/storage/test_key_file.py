"""The file of data keys: slots that are overwritten in place, and a whole file that is replaced at once."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from app.domain.errors import StartError, StorageUnavailable
from app.storage.key_file import RECORD_BYTES, KeyFile, remove_leftovers


@pytest.fixture
def file(tmp_path: Path) -> Iterator[KeyFile]:
    with closing(KeyFile(tmp_path / "keys")) as opened:
        opened.create()
        yield opened


def record(number: int) -> bytes:
    return bytes([number]) * RECORD_BYTES


def add(file: KeyFile, *numbers: int, taken: frozenset[int] = frozenset()) -> list[int]:
    return [file.add(record(number), taken.__contains__) for number in numbers]


def test_a_record_is_read_from_its_slot_and_is_gone_after_it_is_cleared(file: KeyFile) -> None:
    slots = add(file, 1, 2, 3)
    file.clear(slots[1:2])

    assert dict(file.records()) == {slots[0]: record(1), slots[2]: record(3)}
    assert [file.read(slot) for slot in (*slots, 99)] == [record(1), b"", record(3), b""]
    assert record(2) not in file.path.read_bytes()
    assert file.path.stat().st_mode & 0o077 == 0


def test_a_cleared_slot_is_used_again_unless_the_database_knows_it(file: KeyFile) -> None:
    slots = add(file, 1, 2, 3)
    file.clear(slots[:2])

    assert add(file, 4, taken=frozenset(slots[:1])) == slots[1:2]
    assert add(file, 5, taken=frozenset({0, 3, 4})) == [5]


def test_a_slot_that_another_process_has_filled_is_left_alone(file: KeyFile) -> None:
    with closing(KeyFile(file.path)) as other:
        file.clear(add(file, 1))
        slots = [*add(other, 2), *add(file, 3), *add(other, 4)]

        assert dict(file.records()) == dict(other.records()) == dict(zip(slots, map(record, (2, 3, 4)), strict=True))


def test_a_file_that_is_replaced_is_followed_by_others_and_overwritten(file: KeyFile) -> None:
    with closing(KeyFile(file.path)) as other:
        (slot,) = add(file, 1)
        other.read(slot)
        with file.path.open("rb") as old:
            file.replace([(slot, record(2))])

            assert not any(old.read())
        assert other.read(slot) == record(2)
        assert other.file_id() == file.file_id()
        add(other, 3)
    assert [found for _, found in file.records()] == [record(2), record(3)]


@pytest.mark.parametrize("ending", [".new", ".old"])
def test_what_a_crash_leaves_of_a_replacement_is_overwritten(file: KeyFile, ending: str) -> None:
    add(file, 1)
    leftover = file.path.with_name(f"keys{ending}")
    leftover.write_bytes(record(7) * 9)
    with leftover.open("rb") as old:
        remove_leftovers(file.path)

        assert not any(old.read())
    assert [path.name for path in file.path.parent.iterdir()] == ["keys"]


def test_a_crash_before_the_replacement_does_not_overwrite_the_file_itself(file: KeyFile) -> None:
    add(file, 1)
    os.link(file.path, file.path.with_name("keys.old"))
    remove_leftovers(file.path)

    assert dict(file.records()) == {0: record(1)}


def test_a_copy_has_only_the_slots_that_it_needs(file: KeyFile) -> None:
    slots = add(file, 1, 2, 3)
    target = file.path.with_name("copy")
    file.copy_into(target, slots[::2])
    with closing(KeyFile(target)) as copy:
        assert dict(copy.records()) == {slots[0]: record(1), slots[2]: record(3)}
        assert copy.file_id() == file.file_id()


def test_a_missing_file_and_one_of_another_kind_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    with closing(KeyFile(path)) as file:
        with pytest.raises(StorageUnavailable, match="keys is missing"):
            file.read(0)
        path.write_bytes(b"something else" * 99)
        with pytest.raises(StartError, match="is not a file of keys"):
            file.file_id()
