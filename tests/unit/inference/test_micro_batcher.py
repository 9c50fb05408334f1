"""Every caller gets its own result or exception, and waiting items are joined into bounded batches."""

import asyncio
from typing import Any

import pytest

from app.domain.errors import InferenceFailed, Overloaded
from app.inference.micro_batcher import MicroBatcher
from tests.support.held_model import POISON, HeldModel, answers, submitted

pytestmark = pytest.mark.anyio


@pytest.fixture
def model() -> HeldModel:
    return HeldModel()


def batcher_of(
    model: HeldModel, *, max_batch: int = 8, max_waiting: int = 100, **options: Any
) -> MicroBatcher[int, int]:
    return MicroBatcher(model, max_batch=max_batch, max_waiting=max_waiting, **options)


async def test_idle_model_runs_a_single_item_at_once(model: HeldModel) -> None:
    async with batcher_of(model) as batcher:
        first = await submitted(batcher, 1)
        await model.begun()
        assert model.batches == [[1]]
        model.let_go()
        assert await answers(*first) == [2]


async def test_items_submitted_together_to_an_idle_model_form_one_batch(model: HeldModel) -> None:
    model.let_go()
    async with batcher_of(model) as batcher:
        assert await asyncio.gather(*(batcher.submit(number) for number in (1, 2, 3))) == [2, 4, 6]
    assert model.batches == [[1, 2, 3]]


async def test_items_that_arrive_during_a_run_form_the_next_batch(model: HeldModel) -> None:
    async with batcher_of(model) as batcher:
        first = await submitted(batcher, 1)
        await model.begun()
        others = [*await submitted(batcher, 2), *await submitted(batcher, 3, 4)]
        model.let_go(2)
        assert await answers(*first, *others) == [2, 4, 6, 8]
    assert model.batches == [[1], [2, 3, 4]]


async def test_batch_is_never_larger_than_max_batch(model: HeldModel) -> None:
    async with batcher_of(model, max_batch=3) as batcher:
        callers = await submitted(batcher, *range(7))
        model.let_go(3)
        assert await answers(*callers) == [0, 2, 4, 6, 8, 10, 12]
    assert model.batches == [[0, 1, 2], [3, 4, 5], [6]]


async def test_batches_run_one_at_a_time(model: HeldModel) -> None:
    async with batcher_of(model, max_batch=1) as batcher:
        callers = await submitted(batcher, 1, 2)
        await model.begun()
        await asyncio.sleep(0.02)
        assert model.batches == [[1]]
        model.let_go(2)
        await answers(*callers)


@pytest.mark.parametrize(("cancelled", "batches"), [([0], [[1], [3], [4]]), ([0, 1], [[1], [4]])])
async def test_item_of_a_cancelled_caller_is_left_out(
    model: HeldModel, cancelled: list[int], batches: list[list[int]]
) -> None:
    async with batcher_of(model) as batcher:
        first = await submitted(batcher, 1)
        await model.begun()
        others = await submitted(batcher, 2, 3)
        for number in cancelled:
            others[number].cancel()
        model.let_go(3)
        await answers(*first, *others)
        assert await batcher.submit(4) == 8
    assert model.batches == batches
    assert [other.cancelled() for other in others] == [number in cancelled for number in range(2)]


async def test_full_queue_refuses_items_until_there_is_space(model: HeldModel) -> None:
    async with batcher_of(model, max_waiting=2) as batcher:
        first = await submitted(batcher, 1)
        await model.begun()
        waiting = await submitted(batcher, 2, 3)
        with pytest.raises(Overloaded, match="2 faces are already waiting"):
            await batcher.submit(4)
        model.let_go(3)
        assert await answers(*first, *waiting) == [2, 4, 6]
        assert await batcher.submit(5) == 10


async def test_on_batch_receives_the_sizes_of_successful_batches(model: HeldModel) -> None:
    sizes: list[int] = []
    model.let_go(4)
    async with batcher_of(model, max_batch=2, on_batch=sizes.append) as batcher:
        assert await asyncio.gather(*(batcher.submit(number) for number in range(3))) == [0, 2, 4]
        with pytest.raises(InferenceFailed):
            await batcher.submit(POISON)
        await batcher.submit(1)
    assert sizes == [2, 1, 1]


async def test_failing_batch_fails_only_its_own_callers_with_separate_exceptions(model: HeldModel) -> None:
    model.let_go(4)
    async with batcher_of(model, max_batch=2) as batcher:
        results = await answers(*await submitted(batcher, 1, 2, 3, POISON, 5, 6))
        after = await batcher.submit(4)
    failed = results[2:4]
    assert ([*results[:2], *results[4:]], after) == ([2, 4, 10, 12], 8)
    assert [type(error) for error in failed] == [InferenceFailed] * 2
    assert [str(error) for error in failed] == ["ValueError: poison among 2"] * 2
    assert failed[0] is not failed[1]


@pytest.mark.parametrize("outputs", [[], [1], [1, 2, 3], None], ids=["none", "too few", "too many", "no list"])
async def test_wrong_number_of_outputs_fails_every_caller(outputs: Any) -> None:
    async with MicroBatcher[int, int](lambda _: outputs, max_batch=8, max_waiting=8) as batcher:
        results = await answers(*await submitted(batcher, 1, 2))
    assert [type(error) for error in results] == [InferenceFailed] * 2


@pytest.mark.parametrize("number", [1, POISON])
async def test_caller_cancelled_during_its_run_does_not_affect_later_batches(model: HeldModel, number: int) -> None:
    async with batcher_of(model) as batcher:
        leaving, staying = await submitted(batcher, number, 2)
        await model.begun()
        leaving.cancel()
        model.let_go(2)
        await answers(leaving, staying)
        assert await batcher.submit(4) == 8


async def test_shutdown_refuses_running_and_waiting_callers_with_separate_exceptions(model: HeldModel) -> None:
    async with batcher_of(model, max_batch=1) as batcher:
        (running,) = await submitted(batcher, 1)
        await model.begun()
        waiting = await submitted(batcher, 2, 3)
    errors = await answers(running, *waiting)
    model.let_go()
    assert [(type(error), str(error)) for error in errors] == [(Overloaded, "shutting down")] * 3
    assert len({id(error) for error in errors}) == 3
    assert model.batches == [[1]]


async def test_idle_batcher_shuts_down_at_once(model: HeldModel) -> None:
    async with asyncio.timeout(1), batcher_of(model):
        pass
    assert model.batches == []


async def test_item_is_refused_before_the_start_and_after_shutdown_but_not_after_a_restart(model: HeldModel) -> None:
    batcher = batcher_of(model)
    model.let_go()
    with pytest.raises(Overloaded):
        await batcher.submit(1)
    async with batcher:
        pass
    with pytest.raises(Overloaded, match="shutting down"):
        await batcher.submit(1)
    async with batcher:
        assert await batcher.submit(2) == 4


async def test_error_inside_the_context_propagates(model: HeldModel) -> None:
    with pytest.raises(KeyError):
        async with batcher_of(model):
            raise KeyError("of the service")
