"""Progress bars, shown at a terminal once the work has taken two seconds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from rich.console import RenderableType
from rich.progress import Progress, ProgressColumn, SpinnerColumn, TextColumn, TimeElapsedColumn

from app.cli.output import err

DELAY = 2.0
"""Seconds."""


class _LateProgress(Progress):
    def start(self) -> None:
        self._begun = self.get_time()
        super().start()

    def get_renderables(self) -> Iterable[RenderableType]:
        begun = getattr(self, "_begun", None)  # the base class renders once before the start
        return super().get_renderables() if begun is not None and self.get_time() - begun >= DELAY else ()


def progress_bar(*columns: ProgressColumn) -> Progress:
    """Return a bar with the task's description and these columns. It writes to the standard error."""
    return _LateProgress(TextColumn("{task.description}"), *columns, console=err, disable=not err.is_terminal)


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Show that work goes on which cannot say how far it is."""
    with progress_bar(SpinnerColumn(), TimeElapsedColumn()) as progress:
        progress.add_task(what, total=None)
        yield
