"""
Decode hostile photos in a separate process, so that a native crash does not end the tests.

`python -m tests.proof.bulk FIRST COUNT JOURNAL` writes each number to the journal before it decodes that photo, and
each finding as one line of JSON to stdout.
"""

import json
import resource
import sys
import time
import warnings
from collections import Counter
from pathlib import Path

from app.domain.errors import InputError
from app.images.decode import ImageLimits, decode

from .mutations import hostile_photo

SLOW_SECONDS = 10.0
MIB = 2**20


def outcome(data: bytes) -> str:
    """Return `photo`, the code of the problem, or the exception that must not happen."""
    try:
        pixels = decode(data, ImageLimits())
    except InputError as error:
        return error.code
    except Exception as error:
        return f"unplanned {type(error).__name__}: {error}"
    return "photo" if pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.dtype == "uint8" else "unplanned shape"


def main(first: int, count: int, journal: Path) -> None:
    warnings.simplefilter("ignore")
    seen: Counter[str] = Counter()
    with journal.open("wb", buffering=0) as current:
        for number in range(first, first + count):
            current.seek(0)
            current.write(b"%-12d" % number)
            began = time.monotonic()
            found = outcome(hostile_photo(number))
            seconds = time.monotonic() - began
            seen[found.partition(" ")[0]] += 1
            if found.startswith("unplanned") or seconds > SLOW_SECONDS:
                write(number=number, outcome=found, seconds=round(seconds, 1))
    write(seen=seen, peak_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


def write(**finding: object) -> None:
    print(json.dumps(finding), flush=True)  # noqa: T201


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
