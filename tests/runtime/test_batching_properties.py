"""Random arrivals, departures and failures: every caller gets its own answer, or the error of its own batch."""

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
    """Answers with the square of every number, and fails each run whose turn is in `failing`."""

    failing: frozenset[int]
    batches: list[list[int]] = field(default_factory=list)

    def __call__(self, numbers: Sequence[int]) -> list[int]:
        self.batches.append(list(numbers))
        if len(self.batches) - 1 in self.failing:
            raise ValueError("its turn to fail")
        return [number * number for number in numbers]

    def expected(self, number: int) -> int | None:
        """The answer to a number that was run, or None where its batch failed."""
        turn = next(turn for turn, batch in enumerate(self.batches) if number in batch)
        return None if turn in self.failing else number * number


async def played(model: Flaky, events: list[tuple[str, int]], max_batch: int) -> list[tuple[int, Outcome]]:
    """The outcome of each number that arrived: `arrive` n at once, `leave` the nth last, `wait` n turns of the loop."""
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
def test_every_caller_is_answered_by_its_own_batch_in_order_and_none_hangs(
    events: list[tuple[str, int]], failing: frozenset[int], max_batch: int
) -> None:
    model = Flaky(failing)

    outcomes = asyncio.run(played(model, events, max_batch))

    stayed = [(number, outcome) for number, outcome in outcomes if not isinstance(outcome, asyncio.CancelledError)]
    answered = [(number, None if isinstance(outcome, InferenceFailed) else outcome) for number, outcome in stayed]
    assert answered == [(number, model.expected(number)) for number, _ in stayed]
    run = [number for batch in model.batches for number in batch]
    assert run == sorted(set(run))
    assert all(1 <= len(batch) <= max_batch for batch in model.batches)
    errors = [outcome for _, outcome in stayed if isinstance(outcome, InferenceFailed)]
    assert len({id(error) for error in errors}) == len(errors)
