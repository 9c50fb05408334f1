"""The commands on the pages of the documents."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from typer.core import TyperGroup
from typer.main import get_command

import app.cli

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = [
    *REPOSITORY.glob("*.md"),
    *(REPOSITORY / "docs").rglob("*.md"),
    *(REPOSITORY / "docker").rglob("*.md"),
    *REPOSITORY.glob("models/*/MODEL_CARD.md"),
]
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_SEPARATORS = {"|", "||", "&&", ";", "(", ")", "<", ">", ">>", "&"}


def name_of(page: Path) -> str:
    return str(page.relative_to(REPOSITORY))


def lines_of(page: Path) -> Iterator[str]:
    """Yield the lines of the blocks without a language; a line that ends in a backslash is joined with the next."""
    for language, block in _BLOCK.findall(page.read_text(encoding="utf-8")):
        if not language:
            yield from block.replace("\\\n", " ").splitlines()


def commands_in(line: str, program: Sequence[str]) -> Iterator[list[str]]:
    """Yield the arguments of each call of the program, such as `("-m", "training")`, in a line for a shell."""
    for words in _simple_commands(line):
        names = [word.rpartition("/")[2] for word in words]
        places = [at for at in range(len(names)) if names[at : at + len(program)] == list(program)]
        if places and (arguments := words[places[-1] + len(program) :]):
            yield arguments


def _simple_commands(line: str) -> Iterator[list[str]]:
    try:
        lexer = shlex.shlex(line.replace("$(", " ( "), posix=True, punctuation_chars="|&;()<>")
        lexer.whitespace_split = True
        words = list(lexer)
    except ValueError:  # a quotation that goes over several lines, which is none of ours
        return
    command: list[str] = []
    for word in [*words, ";"]:
        if word in _SEPARATORS:
            yield command
            command = []
        else:
            command.append(word)


def likeness() -> TyperGroup:
    """Return the command with its subcommands, which it imports only when they are run."""
    group = cast("TyperGroup", get_command(app.cli.app))
    group.commands = {name: app.cli.imported(name) for name in app.cli.COMMANDS}
    return group


def mistakes(command: Any, words: Sequence[str]) -> Iterator[str]:
    """Yield what the command does not know: options and subcommands, and arguments that are missing or too many."""
    rest, given = list(words), 0
    while rest:
        word = rest.pop(0)
        if word.startswith("-") and word != "-":
            name, equals, _ = word.partition("=")
            option = next((each for each in command.params if name in each.opts + each.secondary_opts), None)
            if option is None:
                yield f"no option {name}"
            elif not (option.is_flag or equals or not rest):
                rest.pop(0)
        elif not hasattr(command, "commands"):
            given += 1
        elif word in command.commands:
            command = command.commands[word]
        else:
            yield f"no command {word}"
            return
    takes = [each for each in command.params if each.param_type_name == "argument"]
    expected = len([each for each in takes if each.required]), sum(each.nargs for each in takes)
    if not expected[0] <= given <= max(expected) and all(each.nargs > 0 for each in takes):
        yield f"expected {expected} arguments, got {given}"
