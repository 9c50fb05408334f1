"""However a batcher ends, nobody is left hanging."""

import asyncio

import pytest

from app.domain.errors import Overloaded
from app.inference.micro_batcher import MicroBatcher
from tests.support.held_model import HeldModel, answers, submitted

pytestmark = pytest.mark.anyio


async def test_callers_of_a_batch_that_runs_at_shutdown_are_told_so() -> None:
    model = HeldModel()
    async with MicroBatcher(model, max_batch=1, max_waiting=8) as batcher:
        (running,) = await submitted(batcher, 1)
        await model.begun()

    (error,) = await answers(running)
    model.let_go()
    assert isinstance(error, Overloaded)
    assert str(error) == "shutting down"


async def test_callers_that_wait_at_shutdown_are_told_so() -> None:
    model = HeldModel()
    async with MicroBatcher(model, max_batch=1, max_waiting=8) as batcher:
        (running,) = await submitted(batcher, 1)
        await model.begun()
        waiting = await submitted(batcher, 2, 3)

    errors = await answers(running, *waiting)
    model.let_go()
    assert [(type(error), str(error)) for error in errors] == [(Overloaded, "shutting down")] * 3
    assert len({id(error) for error in errors}) == 3
    assert model.batches == [[1]]


async def test_an_idle_batcher_shuts_down_at_once() -> None:
    model = HeldModel()

    async with asyncio.timeout(1), MicroBatcher(model, max_batch=1, max_waiting=1):
        pass

    assert model.batches == []


async def test_an_item_after_shutdown_is_refused() -> None:
    batcher = MicroBatcher(HeldModel(), max_batch=1, max_waiting=1)
    async with batcher:
        pass

    with pytest.raises(Overloaded, match="shutting down"):
        await batcher.submit(1)


async def test_an_item_before_the_start_is_refused() -> None:
    with pytest.raises(Overloaded):
        await MicroBatcher(HeldModel(), max_batch=1, max_waiting=1).submit(1)


async def test_an_error_inside_the_context_is_not_swallowed() -> None:
    with pytest.raises(KeyError):
        async with MicroBatcher(HeldModel(), max_batch=1, max_waiting=1):
            raise KeyError("of the service")


async def test_a_batcher_can_be_started_again() -> None:
    model = HeldModel()
    model.let_go()
    batcher = MicroBatcher(model, max_batch=1, max_waiting=1)
    async with batcher:
        pass

    async with batcher:
        assert await batcher.submit(2) == 4
