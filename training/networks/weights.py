"""Read and load saved weights (state dicts)."""

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from training.errors import TrainingError
from training.networks.embedder import FaceNetwork

_NAMES_SHOWN = 3


class UnusableWeights(TrainingError):
    """The file is no state dict, or it is that of another network."""


def load_state(network: FaceNetwork, path: Path) -> None:
    """
    Fill `network` from a state dict; UnusableWeights names the tensors that do not fit, and nothing is changed.

    Tensors that begin as `network.left_out` says are left out. BatchNorm's counters of batches, which old files do not
    have and nothing here reads, start at 0.
    """
    want = network.state_dict()
    counters = {name: torch.zeros_like(part) for name, part in want.items() if name.endswith(".num_batches_tracked")}
    state = counters | {name: part for name, part in read_state(path).items() if not name.startswith(network.left_out)}
    if complaints := _complaints(want, state):
        raise UnusableWeights(f"{path} does not fit {type(network).__name__}: {'; '.join(complaints)}")
    network.load_state_dict(state)


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a state dict by name. Raises UnusableWeights."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UnusableWeights(f"no weights at {path}") from None
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise UnusableWeights(f"{path} is no PyTorch state dict: {error}") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UnusableWeights(f"{path} holds no state dict: want names with tensors")
    return state


def _complaints(want: Mapping[str, Tensor], got: Mapping[str, Tensor]) -> list[str]:
    shared = want.keys() & got.keys()
    sizes = [
        f"{name} (want {tuple(want[name].shape)}, got {tuple(got[name].shape)})"
        for name in want
        if name in shared and want[name].shape != got[name].shape
    ]
    groups = {
        "missing": [name for name in want if name not in shared],
        "unexpected": [name for name in got if name not in shared],
        "of another shape": sizes,
    }
    return [f"{len(names)} {what}: {_some(names)}" for what, names in groups.items() if names]


def _some(names: list[str]) -> str:
    return ", ".join(names[:_NAMES_SHOWN]) + (", ..." if len(names) > _NAMES_SHOWN else "")
