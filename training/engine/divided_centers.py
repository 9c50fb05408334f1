"""Checkpoints of centers that are divided over processes: whole on disk, so that any number of processes may go on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from training.engine.checkpoints import State
from training.engine.distributed import Processes
from training.losses.partial_fc import PartialFC, people_of

_CENTERS = "softmax.centers"
"""Their name in the state of a PartialFC; in the optimizer's state they are the last parameter."""
Change = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class DividedCenters:
    """The softmax, and the processes that its people are divided over."""

    softmax: PartialFC
    processes: Processes

    def whole_softmax(self, state: State) -> State:
        """Return the state with the centers of all processes; only the main process's is complete."""
        return {**state, _CENTERS: self._gathered(state[_CENTERS])}

    def whole_optimizer(self, state: State) -> State:
        """Return the state with what the optimizer keeps for the centers of all processes, in the main process."""
        return _changed(state, tuple(self.softmax.centers.shape), self._gathered)

    def own_softmax(self, state: State) -> State:
        return {**state, _CENTERS: self._own(state[_CENTERS])}

    def own_optimizer(self, state: State) -> State:
        return _changed(state, (self._each * self.softmax.everybody, self.softmax.centers.shape[1]), self._own)

    @property
    def _each(self) -> int:
        return self.softmax.softmax.centers_each

    def _gathered(self, part: Tensor) -> Tensor:
        """Return the parts of all processes in the main one, and the own part in the others."""
        ranks = [Processes(rank, self.processes.size) for rank in range(self.processes.size)]
        shapes = [(self._each * len(people_of(self.softmax.everybody, rank)), part.shape[1]) for rank in ranks]
        gathered = self.processes.gather_parts(part, shapes)
        return part if gathered is None else gathered

    def _own(self, whole: Tensor) -> Tensor:
        people = self.softmax.people
        return whole[people.start * self._each : people.stop * self._each].clone()


def _changed(optimizer: State, shape: tuple[int, ...], change: Change) -> State:
    """Return the optimizer's state with the tensors of this shape changed that it keeps for its last parameter."""
    last = max(number for group in optimizer["param_groups"] for number in group["params"])
    if last not in optimizer["state"]:
        return optimizer
    kept = {
        name: change(value) if isinstance(value, Tensor) and tuple(value.shape) == shape else value
        for name, value in optimizer["state"][last].items()
    }
    return {**optimizer, "state": {**optimizer["state"], last: kept}}
