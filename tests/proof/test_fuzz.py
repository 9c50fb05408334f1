"""No bytes in a photo, in a form or in HTTP itself break the service."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random

import pytest

from app.images.decode import ImageLimits, decode
from tests.support.lengths import length, report
from tests.support.server import MIB, REPOSITORY, Server

from .corpus import corpus
from .fuzzing import FINDINGS, Tally, fuzz
from .hostile_forms import hostile_request
from .mutations import checksum_broken, hostile_photo
from .pieces import PNG, split, with_crc
from .watching import fifth, lowest_resident, watching

REQUESTS = length(600, 20_000)
PHOTOS = length(6_000, 300_000)
PROCESSES = 2
GROWTH, PEAK = 128 * MIB, 2048 * MIB
"""Growth of what is held for good, from the middle fifth to the last (allocators keep what the largest photos needed);
and the highest peak, with photos under way whose headers claim 36 megapixels."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    little_patience = {"LIKENESS_UPLOAD_TIMEOUT": "2", "LIKENESS_HEAD_TIMEOUT": "2"}
    data = tmp_path_factory.mktemp("fuzz") / "data"
    with Server(data, LIKENESS_RATE_LIMIT="0", **little_patience) as running:
        yield running


@pytest.mark.timeout(3600)
def test_every_hostile_request_is_answered_as_planned_and_memory_stays_bounded(server: Server) -> None:
    with watching(server, every=0.2) as samples:
        tally = fuzz(server, range(REQUESTS), Tally())
    middle, last = (lowest_resident(fifth(samples, number)) for number in (2, -1))
    report(f"{REQUESTS} requests: {dict(tally.answers)}, slowest {tally.slowest:.2f} s")
    report(f"held for good: {middle // MIB} MiB, then {last // MIB}; peak {server.peak() // MIB} MiB")
    assert tally.findings == []
    assert sum(tally.answers.values()) == REQUESTS
    assert last - middle < GROWTH
    assert server.peak() < PEAK
    assert server.process.poll() is None


def test_afterwards_every_line_of_the_log_is_a_record_and_none_an_error(server: Server) -> None:
    lines = server.log.read_bytes().splitlines()
    records = [json.loads(line) for line in lines if line.startswith(b"{")]
    assert len(records) == len(lines), [line for line in lines if not line.startswith(b"{")][:3]
    assert [record for record in records if record["level"] in {"error", "critical"}] == []


def test_the_hostile_requests_reach_the_depths_of_the_service(server: Server) -> None:
    """Check that they are not all refused at once, which would prove nothing."""
    answers = fuzz(server, range(REQUESTS, REQUESTS + 300), Tally()).answers
    assert answers["200 application/json"] > 30
    assert answers["201 application/json"] > 3
    assert answers["422 invalid_image"] > 10
    assert answers["422 invalid_request"] > 10


def test_a_request_can_be_repeated_from_its_number() -> None:
    assert [hostile_request(number) for number in range(50)] == [hostile_request(number) for number in range(50)]
    assert len({hostile_request(number).data for number in range(50)}) > 40


@pytest.mark.parametrize("kind", corpus())
def test_every_photo_of_the_corpus_decodes(kind: str) -> None:
    assert decode(corpus()[kind], ImageLimits()).shape == (160, 160, 3)


def test_a_broken_checksum_is_left_as_it_is() -> None:
    """Other changes of a PNG's chunks repair the checksums, so this one has to reach the decoder."""
    png = corpus()["png side chunks"]
    broken = [checksum_broken(png, Random(number)) for number in range(40)]  # noqa: S311
    signed = [each for each in broken if each.startswith(PNG)]
    assert [sum(with_crc(piece) != piece for piece in split(each)[1:]) for each in signed] == [1] * len(signed)
    assert len(signed) > 25


@pytest.mark.timeout(3600)
def test_no_hostile_photo_crashes_a_decoder_or_escapes_the_table_of_errors(tmp_path: Path) -> None:
    share = PHOTOS // PROCESSES
    running = [_decoding(share * place, share, tmp_path / f"journal-{place}") for place in range(PROCESSES)]
    with ExitStack() as stack:
        for process in running:
            stack.callback(process.kill)
        outputs = [process.communicate()[0] for process in running]
    crashed = [_kept(tmp_path / f"journal-{place}") for place, process in enumerate(running) if process.returncode]
    assert crashed == [], f"the decoders died with {[process.returncode for process in running]}"
    *remarks, totals = [json.loads(line) for output in outputs for line in output.splitlines()]
    report(totals)
    assert [remark for remark in remarks if "number" in remark] == []


def _decoding(first: int, count: int, journal: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.proof.bulk", str(first), str(count), str(journal)]
    return subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, text=True
    )


def _kept(journal: Path) -> Path:
    """Save the photo that a decoder died of in a file."""
    number = int(journal.read_text())
    FINDINGS.mkdir(exist_ok=True)
    path = FINDINGS / f"photo-{number}"
    path.write_bytes(hostile_photo(number))
    return path
