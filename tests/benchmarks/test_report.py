"""Verdicts, and what becomes of a report on the page."""

import pytest
from rich.console import Console

from tests.benchmarks.machine import REPOSITORY, Machine
from tests.benchmarks.measure import Time
from tests.benchmarks.report import (
    RATIO,
    SHARE,
    Absent,
    Report,
    Row,
    Target,
    at_least,
    at_most,
    cells,
    changes,
    document,
    quantity,
    table,
)

MACHINE = Machine(
    cpu="Abacus 3", cores=2, memory_gib=24, system="Linux 6", python="3.11.1", packages={"numpy": "2"}, load=0.5
)
QUICK = Row(
    stage="decode",
    case="PNG",
    result=0.98,
    means="the peer's time",
    target=at_most(1.0, noise=0.013),
    ours=Time(cpu_ms=1.96, wall_ms=2.001),
    peer="OpenCV",
    theirs=Time(cpu_ms=2, wall_ms=2.1),
    note="enough said",
)
SLOW = QUICK.model_copy(update={"stage": "start", "result": 3.5, "unit": "s", "target": at_most(3.0), "note": ""})
BROKEN = Row(stage="http", case="broke off", error="OSError: no | port")


def report(*rows: Row, commit: str = "abc1234", cpu: str = "Abacus 3") -> Report:
    return Report(
        date="2026-11-22 12:00 UTC",
        commit=commit,
        command="python -m tests.benchmarks",
        machine=MACHINE.model_copy(update={"cpu": cpu}),
        rows=rows,
        absent=(Absent(what="dlib", why="It is not installed."),),
    )


def text_of(drawn: object) -> str:
    console = Console(width=300, color_system=None)
    with console.capture() as captured:
        console.print(drawn)
    return " ".join(captured.get().split())


@pytest.mark.parametrize(
    ("target", "result", "verdict"),
    [
        (at_least(3.0), 3.0, "met"),
        (at_least(3.0), 2.999, "missed"),
        (at_most(3.0), 3.0, "met"),
        (at_most(3.0), 3.001, "missed"),
        (at_most(1.0, noise=0.02), 1.02, "met"),
        (at_most(1.0, noise=0.02), 1.021, "missed"),
        (at_most(1.0), None, "missed"),
        (at_most(1.0), float("inf"), "missed"),
        (at_most(1.0), float("nan"), "missed"),
        (None, 99.0, "no target"),
    ],
)
def test_a_target_is_met_at_its_bound_and_missed_beyond(target: Target | None, result: float, verdict: str) -> None:
    assert Row(stage="s", case="c", result=result, target=target).verdict == verdict


def test_noise_helps_no_one_to_a_bound_from_above() -> None:
    assert not Target(bound=3.0, at_least=True, noise=0.5).is_active(2.9)


def test_a_report_is_good_where_nothing_is_missed_or_failed() -> None:
    assert report(QUICK, Row(stage="s", case="c", result=99)).good
    assert not report(QUICK, SLOW).good
    assert not report(QUICK, BROKEN).good


def test_the_cells_of_a_row_say_times_results_and_targets_with_their_units() -> None:
    assert cells(QUICK) == (
        "decode", "PNG", "1.96 / 2 ms", "OpenCV 2 / 2.1 ms", "0.98x the peer's time", "<= 1.00x + 1.3 % noise", "met",
    )  # fmt: skip
    assert cells(SLOW)[4:] == ("3.5 s the peer's time", "<= 3 s", "missed")
    assert cells(BROKEN) == ("http", "broke off", "", "", "OSError: no | port", "", "failed")


def test_quantities_have_the_unit_that_they_were_measured_in() -> None:
    assert [quantity(0.8512, SHARE), quantity(2.5, RATIO), quantity(301.25, "MiB"), quantity(None, "s")] == [
        "85.1 %",
        "2.50x",
        "301.2 MiB",
        "",
    ]


def test_a_report_survives_its_json() -> None:
    whole = report(QUICK, SLOW, BROKEN)

    assert Report.model_validate_json(whole.model_dump_json()) == whole


def test_the_document_says_where_when_and_how_and_has_a_line_a_row() -> None:
    page = document(report(QUICK, SLOW, BROKEN))

    assert "Commit abc1234, 2026-11-22 12:00 UTC. Abacus 3, 2 cores, 24 GiB, Linux 6; load 0.5 before the run." in page
    assert "Python 3.11.1, numpy 2." in page
    assert "```\npython -m tests.benchmarks\n```" in page
    assert (
        "| decode | PNG | 1.96 / 2 ms | OpenCV 2 / 2.1 ms | 0.98x the peer's time | <= 1.00x + 1.3 % noise | met |"
        in page
    )
    assert "| **missed** |" in page
    assert "| http | broke off |  |  | OSError: no / port |  | **failed** |" in page
    assert "Of 3 targets 1 are met." in page
    assert "decode: enough said" in page
    assert page.endswith("Not measured: dlib. It is not installed.\n")


def test_a_busy_machine_is_not_hidden() -> None:
    busy = report(QUICK).model_copy(update={"machine": MACHINE.model_copy(update={"load": 1.5})})

    assert "The machine had other work to do" in document(busy)
    assert "The machine had other work to do" not in document(report(QUICK))


def test_the_page_in_docs_is_what_its_report_says() -> None:
    docs = REPOSITORY / "docs"
    report = Report.model_validate_json((docs / "benchmarks.json").read_text(encoding="utf-8"))

    assert document(report) == (docs / "BENCHMARKS.md").read_text(encoding="utf-8")


def test_the_table_shows_every_row() -> None:
    drawn = text_of(table(report(QUICK, BROKEN)))

    assert "Likeness abc1234" in drawn
    assert "0.98x the peer's time" in drawn
    assert "broke off" in drawn


def test_changes_are_of_rows_that_both_runs_have() -> None:
    before = QUICK.model_copy(update={"result": 1.2, "ours": Time(cpu_ms=2.8, wall_ms=3)})

    drawn = text_of(changes(report(QUICK, SLOW), report(before, BROKEN, commit="old")))

    assert "old (2026-11-22 12:00 UTC) to abc1234" in drawn
    assert "-30.0 %" in drawn
    assert "1.20x" in drawn
    assert "start" not in drawn
    assert "other" not in drawn.lower()


def test_changes_warn_where_the_machine_was_another() -> None:
    drawn = text_of(changes(report(QUICK), report(QUICK, cpu="Slide rule")))

    assert "then on Slide rule: compare results only, not times" in drawn
