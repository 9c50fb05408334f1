"""A model that fails, fails those who asked it; and each of them hears it in person."""

import pytest

from app.domain.errors import InferenceFailed
from app.inference.micro_batcher import MicroBatcher
from tests.support.held_model import POISON, HeldModel, answers, submitted

pytestmark = pytest.mark.anyio


async def test_a_failing_batch_fails_its_own_callers_only() -> None:
    model = HeldModel()
    model.let_go(3)
    async with MicroBatcher(model, max_batch=2, max_waiting=8) as batcher:
        got = await answers(*await submitted(batcher, 1, 2, 3, POISON, 5, 6))

    assert [got[0], got[1], got[4], got[5]] == [2, 4, 10, 12]
    assert [str(error) for error in got[2:4]] == ["ValueError: poison among 2"] * 2


async def test_each_caller_of_a_failed_batch_gets_an_exception_of_its_own() -> None:
    model = HeldModel()
    model.let_go()
    async with MicroBatcher(model, max_batch=8, max_waiting=8) as batcher:
        first, second = await answers(*await submitted(batcher, POISON, 2))

    assert isinstance(first, InferenceFailed)
    assert isinstance(second, InferenceFailed)
    assert first is not second


async def test_the_next_batch_after_a_failed_one_is_answered() -> None:
    model = HeldModel()
    model.let_go(2)
    async with MicroBatcher(model, max_batch=8, max_waiting=8) as batcher:
        await answers(*await submitted(batcher, POISON))

        assert await batcher.submit(4) == 8


@pytest.mark.parametrize("outputs", [[], [1], [1, 2, 3], None], ids=["none", "too few", "too many", "no list"])
async def test_a_model_that_does_not_answer_every_item_has_failed_them_all(outputs: list[int] | None) -> None:
    async with MicroBatcher[int, int](lambda _: outputs, max_batch=8, max_waiting=8) as batcher:
        got = await answers(*await submitted(batcher, 1, 2))

    assert [type(error) for error in got] == [InferenceFailed] * 2


@pytest.mark.parametrize("number", [1, POISON])
async def test_a_caller_that_leaves_while_its_batch_runs_disturbs_nobody(number: int) -> None:
    model = HeldModel()
    async with MicroBatcher(model, max_batch=8, max_waiting=8) as batcher:
        leaving, staying = await submitted(batcher, number, 2)
        await model.begun()
        leaving.cancel()
        model.let_go(2)
        await answers(leaving, staying)

        assert await batcher.submit(4) == 8
