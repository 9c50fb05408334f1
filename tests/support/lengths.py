"""The length of the proofs: full with `LIKENESS_PROOF=full` (make proof), else short."""

import os
import sys
from typing import TypeVar

N = TypeVar("N", int, float)

FULL = os.environ.get("LIKENESS_PROOF") == "full"
SEED = os.environ.get("LIKENESS_PROOF_SEED", "likeness")
"""Every random choice depends on it alone, so that a run can be repeated."""


def length(short: N, full: N) -> N:
    return full if FULL else short


def report(figures: object) -> None:
    """Write figures that are shown with `pytest -s` and when a test fails."""
    sys.stdout.write(f"{figures}\n")
