"""A service whose index is in Milvus answers as one with its own, and says what it cannot do while Milvus is away."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.answers import answered, problem
from tests.support.api import Api, subject_path
from tests.support.commands import eventually, ran
from tests.support.milvus import MilvusServer, running_milvus
from tests.support.photos import COLLINS, HOPPER, HOPPER_AGAIN
from tests.support.server import Server


@pytest.fixture
def milvus() -> Iterator[MilvusServer]:
    with running_milvus() as server:
        yield server


def test_the_service_without_milvus_and_with_it_again(tmp_path: Path, milvus: MilvusServer) -> None:
    settings = {"LIKENESS_SEARCH": f"milvus://127.0.0.1:{milvus.port}", "LIKENESS_SEARCH_TOKEN": "root:secret"}
    with Server(tmp_path / "data", **settings) as server, Api.of(server) as api:
        answered(api.enroll("staff", "hopper", HOPPER), 201)
        answered(api.enroll("staff", "collins", COLLINS), 201)
        assert api.names(HOPPER_AGAIN, "staff") == ["hopper"]
        milvus.stop()
        problem(api.identify(HOPPER_AGAIN, gallery="staff"), 503, "storage_unavailable")
        erased = answered(api.http.delete(subject_path("staff", "hopper")), 202)
        ready = answered(api.http.get("/readyz"))
        milvus.start()

        assert erased == {"erased": "pending"}
        assert ready["erasures_pending"] >= 1
        assert eventually(lambda: answered(api.http.get("/readyz"))["erasures_pending"] == 0, within=30)
        assert api.names(HOPPER_AGAIN, "staff") == []
        assert api.names(COLLINS, "staff") == ["collins"]
    assert "indexed" in ran(tmp_path / "data", "gallery", "rebuild", "--json", **settings)
    assert "secret" not in server.log.read_text()
