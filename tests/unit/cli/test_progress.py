"""A bar is shown at a terminal, and only once the work has taken two seconds."""

import io

import pytest
from rich.console import Console
from rich.progress import BarColumn, Progress

from app.cli import progress


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(("seconds", "shown"), [(1.9, False), (2.1, True)])
def test_bar_is_shown_after_two_seconds(monkeypatch: pytest.MonkeyPatch, seconds: float, *, shown: bool) -> None:
    written, clock = io.StringIO(), Clock()
    console = Console(file=written, force_terminal=True, width=80)
    monkeypatch.setattr(progress, "err", console)
    bar = progress.progress_bar(BarColumn())
    bar.get_time = clock
    assert isinstance(bar, Progress)
    with bar:
        task = bar.add_task("enrolling", total=2)
        clock.now = seconds
        bar.advance(task)
        bar.refresh()
    assert ("enrolling" in written.getvalue()) is shown


def test_nothing_is_written_to_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr(progress, "err", Console(file=written))
    monkeypatch.setattr(progress, "DELAY", 0.0)
    with progress.waiting("checking"):
        pass
    assert written.getvalue() == ""
