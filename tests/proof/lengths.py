"""How long a proof runs: `LIKENESS_PROOF=full` (make proof) for the real thing, a taste of it otherwise."""

import os
import sys
from typing import TypeVar

N = TypeVar("N", int, float)

FULL = os.environ.get("LIKENESS_PROOF") == "full"
SEED = os.environ.get("LIKENESS_PROOF_SEED", "likeness")
"""Every random choice hangs on it, and on nothing else: a run can be repeated."""


def length(short: N, full: N) -> N:
    return full if FULL else short


def tell(figures: object) -> None:
    """For the report of a run: seen with `pytest -s`, and where a test fails."""
    sys.stdout.write(f"{figures}\n")
