"""Docstrings begin with a verb or their subject, and messages say `expected X, got Y`."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
BEGINNING = re.compile(r"\s*(Of|As|Likewise|Where|What|Whether)\b")
WANT = re.compile(r"\bwants? ")
SUSPECT = re.compile(rf"[\"']\\?{BEGINNING.pattern}|{WANT.pattern}")  # most files need not be parsed


def sources() -> list[Path]:
    return [path for folder in ("app", "training", "tests") for path in sorted((REPOSITORY / folder).rglob("*.py"))]


def texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of every string, parts of f-strings included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def docstrings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield docstrings, and the strings below assignments that document them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.value.value


def test_docstrings_and_messages_follow_the_rules() -> None:
    files = {path: path.read_text(encoding="utf-8") for path in sources()}
    trees = {path: ast.parse(text) for path, text in files.items() if SUSPECT.search(text)}
    assert len(files) > 800
    assert [(path, *at) for path, tree in trees.items() for at in docstrings(tree) if BEGINNING.match(at[1])] == []
    assert [(path, *at) for path, tree in trees.items() for at in texts(tree) if WANT.search(at[1])] == []
