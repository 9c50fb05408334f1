"""Random arrivals, cancellations and failures: every caller gets its own result, or the error of its own batch."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.errors import InferenceFailed
from app.inference.micro_batcher import MicroBatcher

Outcome = int | BaseException
ARRIVALS = st.lists(st.tuples(st.sampled_from(["wait", "arrive", "leave"]), st.integers(0, 3)), max_size=40)


@dataclass
class Flaky:
    """Squares numbers, and fails each run whose index is in `failing`."""

    failing: frozenset[int]
    batches: list[list[int]] = field(default_factory=list)

    def __call__(self, numbers: Sequence[int]) -> list[int]:
        self.batches.append(list(numbers))
        if len(self.batches) - 1 in self.failing:
            raise ValueError("fails as told")
        return [number * number for number in numbers]

    def expected(self, number: int) -> int | None:
        """Return the result of a number, or None if its batch failed."""
        turn = next(turn for turn, batch in enumerate(self.batches) if number in batch)
        return None if turn in self.failing else number * number


async def outcomes_of(model: Flaky, events: list[tuple[str, int]], max_batch: int) -> list[tuple[int, Outcome]]:
    """Return the outcome of each number: `arrive` submits n, `leave` cancels the nth last, `wait` sleeps n times."""
    callers: list[asyncio.Task[int]] = []
    async with asyncio.timeout(20), MicroBatcher(model, max_batch=max_batch, max_waiting=1000) as batcher:
        for event, count in events:
            if event == "arrive":
                callers += [asyncio.create_task(batcher.submit(len(callers) + number)) for number in range(count)]
            elif event == "leave" and len(callers) > count:
                callers[-1 - count].cancel()
            else:
                await asyncio.sleep(0.0005 * count)
        outcomes = await asyncio.gather(*callers, return_exceptions=True)
    return list(enumerate(outcomes))


@settings(max_examples=60)
@given(events=ARRIVALS, failing=st.frozensets(st.integers(0, 6)), max_batch=st.integers(1, 5))
def test_every_caller_gets_the_outcome_of_its_batch_in_order_and_none_hangs(
    events: list[tuple[str, int]], failing: frozenset[int], max_batch: int
) -> None:
    model = Flaky(failing)
    outcomes = asyncio.run(outcomes_of(model, events, max_batch))
    stayed = [(number, outcome) for number, outcome in outcomes if not isinstance(outcome, asyncio.CancelledError)]
    answered = [(number, None if isinstance(outcome, InferenceFailed) else outcome) for number, outcome in stayed]
    assert answered == [(number, model.expected(number)) for number, _ in stayed]
    run = [number for batch in model.batches for number in batch]
    assert run == sorted(set(run))
    assert all(1 <= len(batch) <= max_batch for batch in model.batches)
    errors = [outcome for _, outcome in stayed if isinstance(outcome, InferenceFailed)]
    assert len({id(error) for error in errors}) == len(errors)
