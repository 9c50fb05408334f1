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
    """The file is not a state dict, or is that of another network."""


def load_state(network: FaceNetwork, path: Path) -> None:
    """
    Load a state dict into `network`. Raises UnusableWeights, which names the tensors that do not fit; nothing changes.

    Tensors named in `network.ignored_prefixes` are skipped. BatchNorm's counters of batches start at 0 if the file has
    none: old files do not, and nothing here reads them.
    """
    expected = network.state_dict()
    counters = {
        name: torch.zeros_like(part) for name, part in expected.items() if name.endswith(".num_batches_tracked")
    }
    state = counters | {
        name: part for name, part in read_state(path).items() if not name.startswith(network.ignored_prefixes)
    }
    if mismatches := _mismatches(expected, state):
        raise UnusableWeights(f"{path} does not fit {type(network).__name__}: {'; '.join(mismatches)}")
    network.load_state_dict(state)


def read_state(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a state dict by name. Raises UnusableWeights."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UnusableWeights(f"no weights at {path}") from None
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise UnusableWeights(f"{path} is not a PyTorch state dict: {error}") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UnusableWeights(f"{path} is not a state dict: expected names with tensors")
    return state


def _mismatches(expected: Mapping[str, Tensor], got: Mapping[str, Tensor]) -> list[str]:
    shared = expected.keys() & got.keys()
    sizes = [
        f"{name} (expected {tuple(expected[name].shape)}, got {tuple(got[name].shape)})"
        for name in expected
        if name in shared and expected[name].shape != got[name].shape
    ]
    groups = {
        "missing": [name for name in expected if name not in shared],
        "unexpected": [name for name in got if name not in shared],
        "of another shape": sizes,
    }
    return [f"{len(names)} {what}: {_some(names)}" for what, names in groups.items() if names]


def _some(names: list[str]) -> str:
    return ", ".join(names[:_NAMES_SHOWN]) + (", ..." if len(names) > _NAMES_SHOWN else "")
