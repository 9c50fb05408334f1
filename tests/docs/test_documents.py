"""What the documents say of the code is so."""

import re
from pathlib import Path

import pytest

from app.settings import Settings

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = sorted([*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").glob("*.md")])
OPERATIONS = (REPOSITORY / "docs" / "OPERATIONS.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| `LIKENESS_(\w+)` \| (.*?) \|", OPERATIONS, re.MULTILINE))


def test_every_option_has_its_row_and_there_are_no_others():
    assert sorted(ROWS) == sorted(name.upper() for name in Settings.model_fields)


@pytest.mark.parametrize("name", [name for name, field in Settings.model_fields.items() if not field.default_factory])
def test_the_default_in_the_table_is_the_default(name):
    default = Settings.model_fields[name].default
    assert ROWS[name.upper()].split("`")[1] == ("none" if default is None else str(default))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_module_that_the_architecture_names_is_there():
    text = (REPOSITORY / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:app|training)/[\w/.]+)`", text)
    assert [name for name in named if not (REPOSITORY / name).exists()] == []
