"""A digest of rows depends on every value and its type, and not on the order or the past of the rows."""

import itertools
import random
from contextlib import closing
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from app.audit.log import append
from app.domain.identity import SYSTEM
from app.storage.migrate import open_migrated
from app.storage.row_hashes import Digest, encode_row, hash_row

CELLS = st.lists(st.binary(max_size=4) | st.none(), max_size=4)
INSERT = "INSERT INTO galleries (number, id, model, created_at) VALUES (?, ?, ?, '')"


@given(st.tuples(st.text(max_size=3), CELLS), st.tuples(st.text(max_size=3), CELLS))
def test_two_rows_are_encoded_alike_only_if_they_are_the_same(
    one: tuple[str, list[bytes | None]], other: tuple[str, list[bytes | None]]
) -> None:
    alike = encode_row("faces", *one) == encode_row("faces", *other)
    empty_as_none = [(types, [cell or b"" for cell in cells]) for types, cells in (one, other)]

    assert alike == (empty_as_none[0] == empty_as_none[1])  # the types tell NULL from an empty value


@given(st.lists(st.binary(max_size=9), max_size=9))
def test_the_order_makes_no_difference_and_a_row_can_be_taken_out(rows: list[bytes]) -> None:
    forwards, backwards = Digest(), Digest()
    for row in rows:
        forwards.add(Digest(1, hash_row(b"key", row)))
    for row in random.Random(1).sample(rows, len(rows)):  # noqa: S311
        backwards.add(Digest(1, hash_row(b"key", row)))

    assert forwards == backwards
    for row in rows:
        forwards.add(Digest(1, hash_row(b"key", row)), -1)
    assert forwards == Digest()


def test_a_value_of_another_type_or_key_gives_another_state(tmp_path: Path) -> None:
    states: list[str] = []
    for model in ("1", b"1", None, "", "2"):
        with closing(open_migrated(tmp_path / f"{len(states)}.sqlite3")) as database:
            with database.writing() as db:
                db.execute(INSERT, (1, "guests", model))
                append(db, SYSTEM, "gallery.create", "guests")
            with database.reading() as db:
                assert db.rows
                states.append(db.rows.state())

    assert all(one != other for one, other in itertools.combinations(states, 2))
