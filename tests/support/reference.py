"""
Write the pages of docs/reference that are made of the code: `python -m tests.support.reference`.

tests/unit/docs/test_reference.py compares them with the code.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

import typer
from typer.cli import get_docs_for_click
from typer.core import TyperGroup
from typer.main import get_command

import app.cli
from app.observability.metrics import Metrics
from training.cli.main import cli as training

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"
NOTE = "(Made of the code by `python -m tests.support.reference`.)"
COMMANDS_HEAD = f"""# Commands

{NOTE}

`likeness` serves and does at the terminal what the API does; in a checkout it is `.venv/bin/likeness`.
`python -m training` makes and measures networks, and needs the extra `training` ([training.md](../training.md)). The
service and the commands also read [settings](../operations/settings.md). The exit status is 0 for success or a match,
1 for no match, and 2 for an error.

"""
METRICS_HEAD = f"""# Metrics

{NOTE}

`GET /metrics` answers in the text format of Prometheus, with a key that has the scope `metrics`
([keys.md](../operations/keys.md)). A counter ends in `_total`; a histogram has `_bucket`, `_sum` and `_count`. With one
worker there are also `process_*` and `python_*` of the Prometheus client. No label identifies a person or a photo.

| metric | type | meaning |
|---|---|---|
"""


def pages() -> dict[str, str]:
    return {"cli.md": commands_page(), "metrics.md": metrics_page()}


def commands_page() -> str:
    likeness = cast("TyperGroup", get_command(app.cli.app))
    likeness.commands = {name: app.cli.imported(name) for name in app.cli.COMMANDS}
    named = {"likeness": likeness, "python -m training": get_command(training)}
    return COMMANDS_HEAD + "\n".join(described(command, name) for name, command in named.items())


def described(command: Any, name: str) -> str:
    """Return what `typer utils docs` says of a program, one level of headings lower."""
    text = get_docs_for_click(obj=command, ctx=typer.Context(command, info_name=name), name=name)
    headed = re.sub(r"^#", "##", text.strip(), flags=re.MULTILINE)
    return re.sub(r"[ \t]+$", "", headed, flags=re.MULTILINE) + "\n"


def metrics_page() -> str:
    metrics = Metrics()
    metrics.watch_galleries(list)
    text = metrics.render().decode()
    kinds = dict(re.findall(r"^# TYPE (likeness_\w+) (\w+)$", text, re.MULTILINE))
    helps = re.findall(r"^# HELP (likeness_\w+) (.*)$", text, re.MULTILINE)
    rows = sorted((name, kinds[name], about) for name, about in helps)
    return METRICS_HEAD + "".join(f"| `{name}` | {kind} | {about} |\n" for name, kind, about in rows)


if __name__ == "__main__":
    for file, page in pages().items():
        (REFERENCE / file).write_text(page, encoding="utf-8")
