"""Cores, clocks and facts, of the machine that runs this."""

import os
import subprocess
import sys
import time

import cv2
import torch
from threadpoolctl import threadpool_info

from tests.benchmarks.cores import all_cores, one_core, pinned
from tests.benchmarks.machine import Machine, commit, cpu_seconds


def test_a_pinned_thread_and_its_children_stay_on_their_cores() -> None:
    core = all_cores()[0]
    with pinned([core]):
        shown = [sys.executable, "-c", "import os; print(*os.sched_getaffinity(0))"]
        child = subprocess.run(shown, capture_output=True, text=True, check=True).stdout
        assert os.sched_getaffinity(0) == {core}
        assert child.split() == [str(core)]
    assert sorted(os.sched_getaffinity(0)) == all_cores()


def test_on_one_core_every_library_has_one_thread_and_afterwards_what_it_had() -> None:
    before = torch.get_num_threads(), cv2.getNumThreads()

    with one_core():
        assert (torch.get_num_threads(), cv2.getNumThreads()) == (1, 1)
        assert {pool["num_threads"] for pool in threadpool_info()} == {1}

    assert (torch.get_num_threads(), cv2.getNumThreads()) == before


def test_a_process_is_charged_for_its_work_and_not_for_its_sleep() -> None:
    began = cpu_seconds(os.getpid())
    time.sleep(0.1)
    asleep = cpu_seconds(os.getpid()) - began
    while time.process_time() < began + asleep + 0.05:
        pass
    assert asleep < 0.05
    assert 0.04 < cpu_seconds(os.getpid()) - began - asleep < 0.1


def test_a_machine_knows_what_it_is() -> None:
    machine = Machine.this()

    assert machine.cores == len(os.sched_getaffinity(0))
    assert machine.memory_gib >= 1
    assert {"onnxruntime", "numpy", "torch"} <= machine.packages.keys()
    assert commit()
