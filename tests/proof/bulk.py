"""
Decode hostile photos in a process of its own, so that a native crash is an exit status and not the end of the tests.

`python -m tests.proof.bulk FIRST COUNT JOURNAL`: the journal names the number being decoded before it is touched; every
remark is one line of JSON on stdout.
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
    """`photo`, the problem's code, or the exception that must not be."""
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
                say(number=number, outcome=found, seconds=round(seconds, 1))
    say(seen=seen, peak_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


def say(**remark: object) -> None:
    print(json.dumps(remark), flush=True)  # noqa: T201


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
