import asyncio

import pytest

from app.domain.errors import InferenceFailed, Overloaded
from app.inference.micro_batcher import MicroBatcher
from tests.support.held_model import POISON, HeldModel, answers, submitted

pytestmark = pytest.mark.anyio


def batcher_of(model: HeldModel, *, max_batch: int = 8, max_waiting: int = 100) -> MicroBatcher[int, int]:
    return MicroBatcher(model, max_batch=max_batch, max_waiting=max_waiting)


async def test_an_idle_model_starts_at_once_with_a_single_item() -> None:
    model = HeldModel()
    async with batcher_of(model) as batcher:
        first = await submitted(batcher, 1)
        await model.begun()
        assert model.batches == [[1]]

        model.let_go()
        assert await answers(*first) == [2]


async def test_items_that_come_together_to_an_idle_model_are_one_batch() -> None:
    model = HeldModel()
    model.let_go()
    async with batcher_of(model) as batcher:
        assert await asyncio.gather(*(batcher.submit(number) for number in (1, 2, 3))) == [2, 4, 6]

    assert model.batches == [[1, 2, 3]]


async def test_what_arrives_while_the_model_works_is_the_next_batch() -> None:
    model = HeldModel()
    async with batcher_of(model) as batcher:
        first = await submitted(batcher, 1)
        await model.begun()
        others = [*await submitted(batcher, 2), *await submitted(batcher, 3, 4)]

        model.let_go(2)
        assert await answers(*first, *others) == [2, 4, 6, 8]

    assert model.batches == [[1], [2, 3, 4]]


async def test_a_batch_is_never_larger_than_allowed() -> None:
    model = HeldModel()
    async with batcher_of(model, max_batch=3) as batcher:
        callers = await submitted(batcher, *range(7))

        model.let_go(3)
        assert await answers(*callers) == [0, 2, 4, 6, 8, 10, 12]

    assert model.batches == [[0, 1, 2], [3, 4, 5], [6]]


async def test_one_batch_runs_at_a_time() -> None:
    model = HeldModel()
    async with batcher_of(model, max_batch=1) as batcher:
        callers = await submitted(batcher, 1, 2)
        await model.begun()
        await asyncio.sleep(0.02)
        assert model.batches == [[1]]

        model.let_go(2)
        await answers(*callers)


async def test_a_caller_that_left_is_dropped_from_the_next_batch() -> None:
    model = HeldModel()
    async with batcher_of(model) as batcher:
        first = await submitted(batcher, 1)
        await model.begun()
        leaving, staying = await submitted(batcher, 2, 3)
        leaving.cancel()

        model.let_go(2)
        assert await answers(*first, staying) == [2, 6]

    assert model.batches == [[1], [3]]
    assert leaving.cancelled()


async def test_a_batch_whose_callers_all_left_is_not_run() -> None:
    model = HeldModel()
    async with batcher_of(model) as batcher:
        first = await submitted(batcher, 1)
        await model.begun()
        left = await submitted(batcher, 2, 3)
        for caller in left:
            caller.cancel()
        model.let_go(2)
        await answers(*first, *left)

        assert await batcher.submit(4) == 8

    assert model.batches == [[1], [4]]


async def test_a_full_queue_refuses_the_next_at_once() -> None:
    model = HeldModel()
    async with batcher_of(model, max_waiting=2) as batcher:
        first = await submitted(batcher, 1)
        await model.begun()
        waiting = await submitted(batcher, 2, 3)

        with pytest.raises(Overloaded, match="2 faces already wait"):
            await batcher.submit(4)

        model.let_go(2)
        assert await answers(*first, *waiting) == [2, 4, 6]


async def test_a_queue_that_was_full_takes_items_again() -> None:
    model = HeldModel()
    async with batcher_of(model, max_waiting=1) as batcher:
        first = await submitted(batcher, 1)
        await model.begun()
        waiting = await submitted(batcher, 2)
        model.let_go(3)
        await answers(*first, *waiting)

        assert await batcher.submit(3) == 6


async def test_every_batch_that_the_model_answered_is_told_by_its_size() -> None:
    model, sizes = HeldModel(), list[int]()
    model.let_go(4)
    async with MicroBatcher(model, max_batch=2, max_waiting=9, on_batch=sizes.append) as batcher:
        assert await asyncio.gather(*(batcher.submit(number) for number in range(3))) == [0, 2, 4]
        with pytest.raises(InferenceFailed):
            await batcher.submit(POISON)
        await batcher.submit(1)

    assert sizes == [2, 1, 1]
