"""Who waits too long is told so; what was begun for him keeps its place until it ends."""

import asyncio
import threading
import time
from collections.abc import Callable

import pytest

from app.concurrency.worker_pool import WorkerPool, raise_if_cancelled
from app.domain.errors import DeadlineExceeded, Overloaded
from tests.support.gate import Gate, free_again

pytestmark = pytest.mark.anyio
Make = Callable[..., WorkerPool]


async def test_an_answer_that_comes_too_late_is_given_up(workers: Make, gate: Gate) -> None:
    hasty = workers(deadline=0.05)

    with pytest.raises(DeadlineExceeded, match=r"no answer within 0.05 s"):
        await hasty.run(gate)


async def test_a_job_given_up_keeps_its_place_until_it_ends(workers: Make, gate: Gate) -> None:
    hasty = workers(threads=1, max_waiting=0, deadline=0.05)
    with pytest.raises(DeadlineExceeded):
        await hasty.run(gate)

    with pytest.raises(Overloaded):
        await hasty.run(gate)

    gate.open()
    await free_again(hasty)


async def test_a_job_given_up_while_it_waits_is_never_begun(workers: Make, gate: Gate) -> None:
    hasty, begun = workers(threads=1, max_waiting=1, deadline=0.05), list[str]()
    running = asyncio.create_task(hasty.run(gate))
    await gate.begun()

    with pytest.raises(DeadlineExceeded):
        await hasty.run(lambda: begun.append("begun"))

    with pytest.raises(DeadlineExceeded):
        await running
    gate.open()
    await free_again(hasty)
    assert begun == []


async def test_an_answer_that_meets_its_deadline_at_the_same_moment_is_late(workers: Make) -> None:
    hasty = workers(deadline=0.05)
    late = asyncio.create_task(hasty.run(lambda: time.sleep(0.02)))
    await asyncio.sleep(0)

    time.sleep(0.15)  # noqa: ASYNC251 -- a busy event loop: the answer and the deadline are both there when it returns

    with pytest.raises(DeadlineExceeded):
        await late


@pytest.mark.parametrize("leaves", [False, True])
async def test_a_job_that_nobody_waits_for_ends_at_its_next_checkpoint(workers: Make, leaves: bool) -> None:  # noqa: FBT001
    hasty, over = workers(threads=1, max_waiting=0, deadline=60 if leaves else 0.05), threading.Event()

    def work() -> None:
        try:
            while True:
                time.sleep(0.005)
                raise_if_cancelled()
        finally:
            over.set()

    running = asyncio.create_task(hasty.run(work))
    await asyncio.sleep(0.05)
    if leaves:
        running.cancel()
    with pytest.raises(asyncio.CancelledError if leaves else DeadlineExceeded):
        await running

    assert await asyncio.to_thread(over.wait, 5)
    await free_again(hasty)
    assert await hasty.run(lambda: "free") == "free"


async def test_a_checkpoint_lets_pass_what_is_waited_for_and_what_is_not_of_workers(workers: Make) -> None:
    assert await workers(deadline=60).run(raise_if_cancelled) is None
    raise_if_cancelled()
