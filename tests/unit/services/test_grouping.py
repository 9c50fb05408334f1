"""Photos are grouped only where SciPy is installed; a service without it says so before it reads any photo."""

from pathlib import Path

import pytest

from app.concurrency.worker_pool import WorkerPool
from app.domain.errors import InvalidRequest
from app.matching import clustering
from app.matching.threshold_policy import ThresholdPolicy
from app.services.extraction import Upload
from app.services.grouping import Grouping
from app.services.timing import StageTimer
from tests.unit.services.bench import open_bench

pytestmark = pytest.mark.anyio


async def test_without_scipy_the_request_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clustering, "find_spec", lambda _: None)
    workers = WorkerPool("groups", threads=1, max_waiting=1, deadline=10)
    async with open_bench(tmp_path) as bench:
        grouping = Grouping(bench.extraction, ThresholdPolicy(None, default_fmr=1e-3, default_fpir=1e-2), workers)
        with pytest.raises(InvalidRequest, match=r"installed without SciPy \(likeness\[cluster\]\)"):
            await grouping.group(
                [Upload("image", b"no image")], "largest", fmr=None, threshold=None, timer=StageTimer()
            )
    workers.close()
