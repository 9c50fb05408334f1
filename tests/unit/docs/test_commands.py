"""Every call of our own programs on a page has options, subcommands and arguments that exist."""

import re

from typer.main import get_command

from tests.support.doc_commands import PAGES, REPOSITORY, commands_in, likeness, lines_of, mistakes, name_of
from training.cli.main import cli as training

LIKENESS, TRAINING = likeness(), get_command(training)
PROGRAMS = {("likeness",): LIKENESS, ("likeness-cpu",): LIKENESS, ("-m", "training"): TRAINING}
CALLS = [
    (page, line, program, arguments)
    for page in PAGES
    for line in lines_of(page)
    for program in PROGRAMS
    for arguments in commands_in(line, program)
]


def test_pages_call_our_programs_as_they_are() -> None:
    wrong = [
        (name_of(page), line, mistake)
        for page, line, program, arguments in CALLS
        for mistake in mistakes(PROGRAMS[program], arguments)
    ]
    assert wrong == []


def test_calls_are_found_and_mistakes_are_seen() -> None:
    assert len(CALLS) > 60
    line = (
        "X=$(docker compose run --rm likeness keys create --scopes admin) | .venv/bin/likeness verify a b.jpg --fmt 1"
    )
    calls = list(commands_in(line, ("likeness",)))
    assert calls == [["keys", "create", "--scopes", "admin"], ["verify", "a", "b.jpg", "--fmt", "1"]]
    assert [list(mistakes(LIKENESS, call)) for call in calls] == [
        [],
        ["no option --fmt", "expected (2, 2) arguments, got 3"],
    ]
    assert list(mistakes(LIKENESS, ["gallery", "carry", "x"])) == ["no command carry"]


def test_every_target_of_make_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    named = {arguments[0] for page in PAGES for line in lines_of(page) for arguments in commands_in(line, ("make",))}
    assert named
    assert named <= targets
