"""Docstrings begin with a verb or their subject, and messages say `expected X, got Y`."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
BEGINNING = re.compile(r"\s*(Of|As|Likewise|Where|What|Whether)\b")
WANT = re.compile(r"\bwants? ")


def sources() -> list[Path]:
    return [path for folder in ("app", "training", "tests") for path in sorted((REPOSITORY / folder).rglob("*.py"))]


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of every string, parts of f-strings included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def docstrings(path: Path) -> Iterator[tuple[int, str]]:
    """Yield docstrings, and the strings below assignments that document them."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.value.value


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_docstrings_and_messages_follow_the_rules(path: Path) -> None:
    assert [(line, text) for line, text in docstrings(path) if BEGINNING.match(text)] == []
    assert [(line, text) for line, text in texts(path) if WANT.search(text)] == []
