"""Copies of an erased vector in the memory of the service: how many can be read there, and that a restart ends them."""

import re
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from tests.support.api import Api, subject_path
from tests.support.lengths import report
from tests.support.photos import COLLINS, HOPPER
from tests.support.server import Server

WRITABLE = re.compile(r"([0-9a-f]+)-([0-9a-f]+) rw")


def copies(server: Server, vector: bytes) -> int:
    """Return how often the bytes are in the writable memory of the process."""
    pid, found = server.process.pid, 0
    try:
        with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
            for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
                if block := WRITABLE.match(line):
                    start, end = (int(address, 16) for address in block.groups())
                    with suppress(OSError):  # it may have been returned to the system meanwhile
                        memory.seek(start)
                        found += memory.read(end - start).count(vector)
    except PermissionError as error:
        pytest.skip(f"the memory of another process cannot be read here: {error}")
    return found


@pytest.fixture(scope="module")
def vector(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The vector of COLLINS, computed in a process that is not looked at."""
    with Server(tmp_path_factory.mktemp("other") / "data") as other, Api.of(other) as api:
        api.enroll("staff", "ada", COLLINS)
        (face,) = api.http.get(f"{subject_path('staff', 'ada')}/export").json()["faces"]
    return np.array(face["embedding"], "<f4").tobytes()


def test_an_erased_vector_is_at_most_in_the_working_memory_of_the_network(tmp_path: Path, vector: bytes) -> None:
    with Server(tmp_path / "data") as server, Api.of(server) as api:
        for subject, photo in (("bob", HOPPER), ("ada", COLLINS)):
            api.enroll("staff", subject, photo)
        api.candidates(HOPPER, "staff")
        before = copies(server, vector)
        api.delete(subject_path("staff", "ada"))
        after = copies(server, vector)
        report(f"copies of a vector that was enrolled here: {before}; after its erasure {after}")
        assert before > after <= 1
    with Server(tmp_path / "data") as server, Api.of(server) as api:
        assert api.candidates(HOPPER, "staff")
        assert copies(server, vector) == 0


def test_no_copy_stays_of_a_vector_that_was_read_from_the_file_and_moved(tmp_path: Path, vector: bytes) -> None:
    with Server(tmp_path / "data") as server, Api.of(server) as api:
        for subject, photo in (("bob", HOPPER), ("ada", COLLINS)):
            api.enroll("staff", subject, photo)
    with Server(tmp_path / "data") as server, Api.of(server) as api:
        api.candidates(HOPPER, "staff")
        assert copies(server, vector) == 1  # the search index
        assert api.http.patch(subject_path("staff", "ada"), json={"id": "augusta"}).is_success
        api.delete(subject_path("staff", "augusta"))
        assert copies(server, vector) == 0
