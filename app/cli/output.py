"""The output of commands: JSON for machines or text for people, and the exit status 0, 1 or 2."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Annotated, Any, NoReturn, TypeAlias

import typer
from pydantic import ValidationError
from rich.console import Console

from app.api.field_faults import fault
from app.api.problems import ProblemContext, problem_of
from app.domain.errors import LikenessError, StartError
from app.settings import Settings

SUCCESS, NO_MATCH, ERROR = 0, 1, 2

Result: TypeAlias = tuple[int, dict[str, Any], str]
"""The exit status of a command, what it prints as a JSON document, and the same as text."""
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]

out = Console(highlight=False, emoji=False)
err = Console(stderr=True, highlight=False, emoji=False)


class CommandError(Exception):
    """A mistake of the user, or what a remote service refused. Its message is printed, or with --json its document."""

    def __init__(self, message: str, document: Mapping[str, Any] = MappingProxyType({"code": "command_error"})) -> None:
        super().__init__(message)
        self.document = {**document, "detail": message}


def run(as_json: bool, work: Callable[[Settings], Awaitable[Result]]) -> None:  # noqa: FBT001
    """Do `work`, print its document or its text, and exit."""
    finish(as_json, lambda: asyncio.run(_with_settings(work)))


def finish(as_json: bool, work: Callable[[], Result]) -> None:  # noqa: FBT001
    """Do the same with work that needs no settings."""
    try:
        code, document, text = work()
    except LikenessError as error:
        detail = f"{error.image}: {error}" if error.image else str(error)
        fail(detail, problem_of(problem_context(), error) | {"detail": detail} if as_json else None)
    except CommandError as error:
        fail(str(error), error.document if as_json else None)
    except (OSError, KeyboardInterrupt) as error:
        kind, said = ("command_error", str(error)) if isinstance(error, OSError) else ("interrupted", "interrupted")
        detail = with_hints(said, error)
        fail(detail, {"detail": detail, "code": kind} if as_json else None)
    if as_json:
        out.print_json(json.dumps(document))
    else:
        out.print(_visible(text), markup=False, soft_wrap=True)
    raise typer.Exit(code)


@contextmanager
def hint(text: Callable[[], str]) -> Iterator[None]:
    """Add a hint how to go on, unless it is empty, to whatever ends the work within."""
    try:
        yield
    except BaseException as error:
        if told := text():
            error.add_note(told)
        raise


def with_hints(text: str, error: BaseException) -> str:
    """Return the text of an error with the hints that were added to it."""
    return "; ".join([text, *getattr(error, "__notes__", ())])


def problem_context() -> ProblemContext:
    return ProblemContext("cli", str(uuid.uuid4()))


def read_settings(flags: Mapping[str, str] = MappingProxyType({})) -> Settings:
    """Return the settings, in which `flags` win over the environment. Raises StartError that names each wrong one."""
    try:
        return Settings(**dict[str, Any](flags))
    except ValidationError as error:
        raise StartError("; ".join(_complaint(dict(each), flags) for each in error.errors())) from error


def _complaint(error: dict[str, Any], flags: Mapping[str, str]) -> str:
    name = ".".join(map(str, error["loc"]))
    name = flag_of(name) if name in flags else f"LIKENESS_{name.upper()}"
    said = fault(error)
    return f"{name}: {said}" if ", got " in said else f"{name}: {said}, got {error['input']!r}"


def flag_of(setting: str) -> str:
    return f"--{setting.replace('_', '-')}"


def fail(message: str, document: dict[str, Any] | None = None) -> NoReturn:
    if document is None:
        err.print(f"error: {message}", style="red", markup=False, soft_wrap=True)
    else:
        out.print_json(json.dumps(document))
    raise typer.Exit(ERROR)


def _visible(text: str) -> str:
    """Escape control characters, with which an id that a caller chose could hide lines in the terminal."""
    return "".join(each if each.isprintable() or each == "\n" else json.dumps(each)[1:-1] for each in text)


async def _with_settings(work: Callable[[Settings], Awaitable[Any]]) -> Any:
    return await work(read_settings())
