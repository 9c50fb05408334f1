"""
The cost of HTTP itself for the server, with two uploads of 100 KB: CPU time by the clock of the server's process.

Three ways through one request take turns: the service over HTTP with everything but the work on pixels (stubbed.py),
the same services called directly, and a raw ASGI application under the same uvicorn. HTTP itself is the first less the
second: heads, the form, access, validation, the answer as JSON, metrics, logs.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np

from tests.benchmarks import direct, photos
from tests.benchmarks.cores import one_core
from tests.benchmarks.machine import Machine
from tests.benchmarks.measure import Contestant, Effort, Laps, race
from tests.benchmarks.report import Row, Target, at_most, share_of, versus
from tests.benchmarks.served import Served, verify
from tests.benchmarks.stubbed import still_services

MOST_MS = {"amd": 0.6, "intel": 1.2}
"""By vendor: the interpreter itself takes twice as long on one as on the other."""
TIMES = 20  # the direct call, in one run of its event loop
NOTE = (
    "server CPU of a `/verify` of two 100 KB uploads with the work on pixels stubbed out, less the CPU of the same "
    "services called directly; the peer reads the same body in plain ASGI under the same uvicorn."
)


def rows(effort: Effort) -> Iterator[Row]:
    with one_core(), tempfile.TemporaryDirectory() as folder:
        laps = timed(Path(folder), effort)
    itself = 1000 * float(np.median(laps["ours"].cpu - laps["called directly"].cpu))
    costs = {"result": itself, "means": "", "unit": "ms CPU", "target": target(), "note": NOTE}
    yield versus("HTTP", "HTTP itself, two uploads of 100 KB", laps, "called directly", **costs)
    whole = share_of(laps, "raw ASGI") | {"means": "the peer's CPU"}
    yield versus("HTTP", "the whole request", laps, "raw ASGI", note=NOTE, **whole)


def target() -> Target | None:
    vendor = Machine.this().family.partition("-")[0]
    return at_most(MOST_MS[vendor]) if vendor in MOST_MS else None


def timed(folder: Path, effort: Effort) -> dict[str, Laps]:
    uploads = photos.upload(), photos.upload()
    services = still_services(direct.settings(folder))
    with (
        Served(folder, "tests.benchmarks.stubbed") as service,
        Served(folder, "tests.benchmarks.raw") as raw,
        closing(service.client(verify(uploads))) as service_client,
        closing(raw.client(verify(uploads))) as raw_client,
        direct.verification(services, uploads, TIMES) as call,
    ):
        contestants = {
            "ours": Contestant(service_client.must, service.cpu),
            "raw ASGI": Contestant(raw_client.must, raw.cpu),
            "called directly": Contestant(call, times=TIMES),
        }
        return race(contestants, effort.pace)
