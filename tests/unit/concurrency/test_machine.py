"""Cores and memory are those of the process and its container."""

import os
from pathlib import Path

import pytest

from app.concurrency import machine


@pytest.fixture(autouse=True)
def cgroup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(machine, "CGROUP", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 32 * 2**18}.__getitem__)
    return tmp_path


@pytest.mark.parametrize(
    ("cpu", "memory", "workers"),
    [
        ("max 100000", "max", 8),
        ("350000 100000", "max", 3),
        ("50000 100000", "max", 1),
        ("max 100000", str(5 * 2**30 - 1), 4),
        ("max 100000", str(2**28), 1),
        ("nonsense", "nonsense", 8),
    ],
)
def test_there_is_a_worker_for_each_core_and_each_gibibyte(cgroup: Path, cpu: str, memory: str, workers: int) -> None:
    (cgroup / "cpu.max").write_text(f"{cpu}\n")
    (cgroup / "memory.max").write_text(f"{memory}\n")

    assert machine.workers_that_fit() == workers


def test_without_limits_of_a_container_the_machine_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (machine.usable_cores(), machine.usable_bytes()) == (8, 32 * 2**30)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {5})
    assert machine.workers_that_fit() == 1
