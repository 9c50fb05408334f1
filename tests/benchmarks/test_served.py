"""Questions as bytes, and loads as figures; no server is started."""

import email
import threading
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from tests.benchmarks import served
from tests.benchmarks.concurrency import percentile, scaling, tail
from tests.benchmarks.overload import growth, judged
from tests.benchmarks.served import Answer, Client, Load, NotServed, Question, verify


def answers(*seconds: float, status: int = 200) -> list[Answer]:
    return [Answer(status, b"", began=0.0, seconds=each, retry_after=0.0) for each in seconds]


def test_a_question_is_a_form_that_any_parser_reads() -> None:
    question = Question.of("/embed", [("image", b"\xff\xd8 bytes"), ("image", b"more")], faces="all")

    form = email.message_from_bytes(
        f"Content-Type: {question.content_type}\r\n\r\n".encode() + question.body, policy=HTTP
    )
    parts = [
        (part.get_param("name", header="content-disposition"), part.get_filename(), part.get_payload(decode=True))
        for part in form.iter_parts()
    ]

    assert parts == [
        ("image", "photo.jpg", b"\xff\xd8 bytes"),
        ("image", "photo.jpg", b"more"),
        ("faces", None, b"all"),
    ]


def test_verify_names_its_two_photos() -> None:
    question = verify((b"one", b"other"), fmr="1e-3")

    assert question.path == "/verify"
    assert [name in question.body for name in (b'"image1"', b'"image2"', b'"fmr"')] == [True, True, True]


def test_throughput_counts_what_was_answered_and_not_what_was_refused() -> None:
    load = Load([*answers(0.1, 0.3, 0.2), *answers(0.01, status=503)], lost=[], lasted=2.0)

    assert load.throughput() == 1.5
    assert list(load.latencies()) == [0.1, 0.2, 0.3]
    assert list(load.latencies(503)) == [0.01]


def test_any_other_answer_and_none_at_all_are_told_apart() -> None:
    load = Load([*answers(1.0), *answers(1.0, status=504)], lost=["timeout: timed out"], lasted=1.0)

    assert load.others() == ["504", "timeout: timed out"]


def test_two_cores_are_compared_with_one_spell_by_spell() -> None:
    one = [Load(answers(*[0.1] * count), [], 1.0) for count in (10, 5, 10)]
    two = [Load(answers(*[0.1] * count), [], 1.0) for count in (19, 10, 18)]

    row = scaling("throughput", one, two)

    assert row.result == pytest.approx(1.9)
    assert row.verdict == "met"


def test_a_load_with_a_failed_request_is_no_measurement() -> None:
    good = Load(answers(0.1), [], 1.0)

    with pytest.raises(NotServed, match="1 of 2 requests failed: 500"):
        scaling("throughput", [good], [Load([*answers(0.1), *answers(0.1, status=500)], [], 1.0)])


def test_the_tail_is_the_slowest_hundredth_over_the_median_of_all_spells() -> None:
    row = tail([Load(answers(*[0.1] * 98), [], 1.0), Load(answers(0.4, 0.5), [], 1.0)])

    assert row.result == pytest.approx(4.0)
    assert row.verdict == "missed"


class Counting(BaseHTTPRequestHandler):
    """Answers with the number of the connection that a request came over."""

    protocol_version = "HTTP/1.1"
    connections: ClassVar[list[object]] = []

    def setup(self) -> None:
        super().setup()
        self.connections.append(self)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = str(len(self.connections)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def test_a_client_keeps_its_connection_unless_the_server_may_have_closed_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Counting) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        client = Client(server.server_port, verify((b"one", b"other")))
        kept = [client.must().body for _ in range(3)]
        monkeypatch.setattr(served, "IDLE", 0.0)
        opened = [client.must().body for _ in range(2)]
        client.close()
        server.shutdown()

    assert kept == [b"1", b"1", b"1"]
    assert opened == [b"2", b"3"]


@pytest.mark.parametrize(("share", "wanted"), [(50, 2.0), (99, 4.0), (25, 1.0), (0, 1.0)])
def test_a_percentile_is_a_value_that_was_there(share: float, wanted: float) -> None:
    assert percentile([1.0, 2.0, 3.0, 4.0], share) == wanted


def test_overload_is_judged_by_what_is_kept_refused_and_lost() -> None:
    loads = [Load([*answers(*[0.2] * 9), *answers(*[0.01] * 99, 0.2, status=503)], [], 1.0)]

    kept, refused, lost = judged(10.0, loads)

    assert (kept.result, kept.verdict) == (0.9, "met")
    assert (refused.result, refused.verdict) == (10.0, "met")
    assert refused.means == "(p99 of 100; 99 in time, the slowest 200 ms)"
    assert (lost.result, lost.verdict) == (0, "met")


def test_an_overload_that_refuses_nobody_was_none() -> None:
    _, refused, lost = judged(1.0, [Load(answers(0.1), ["TimeoutError: timed out"], 1.0)])

    assert refused.verdict == "missed"
    assert (lost.result, lost.means, lost.verdict) == (1, "TimeoutError: timed out", "missed")


def test_growth_is_a_share() -> None:
    assert growth(100 * 2**20, 102 * 2**20).verdict == "met"
    assert growth(100 * 2**20, 103 * 2**20).verdict == "missed"
