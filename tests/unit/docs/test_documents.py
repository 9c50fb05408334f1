"""The documents agree with the code and with each other."""

import re
from collections.abc import Iterator
from pathlib import Path

from app.domain import errors
from app.main import create_app
from app.settings import Settings

REPOSITORY = Path(__file__).resolve().parents[3]
DOCS = REPOSITORY / "docs"
PAGES = sorted([*REPOSITORY.glob("*.md"), *DOCS.rglob("*.md"), *(REPOSITORY / "docker").rglob("*.md")])
SETTINGS = (DOCS / "operations" / "settings.md").read_text(encoding="utf-8")
ROWS = {
    name: cells for name, *cells in re.findall(r"^\| `LIKENESS_(\w+)` \| (.*?) \| (.*) \|$", SETTINGS, re.MULTILINE)
}
METHODS = "GET", "POST", "PUT", "PATCH", "DELETE"
BEFORE_A_REQUEST = {"invalid_http", "headers_too_large"}  # answered by the server itself
OF_HTTP = {"method_not_allowed", "upload_timeout"}  # have no error of the domain


def test_the_table_of_settings_lists_every_option_and_no_other() -> None:
    assert sorted(ROWS) == sorted(name.upper() for name in Settings.model_fields)


def test_the_table_of_settings_has_the_defaults_and_descriptions() -> None:
    fields = {name.upper(): field for name, field in Settings.model_fields.items()}
    defaults = {
        name: "none" if field.default is None else str(field.default)
        for name, field in fields.items()
        if not field.default_factory
    }
    assert {name: ROWS[name][0].split("`")[1] for name in defaults} == defaults
    assert {name: cells[1] for name, cells in ROWS.items()} == {
        name: field.description for name, field in fields.items()
    }


def test_every_link_leads_to_a_file_and_a_heading() -> None:
    links = [(page, link) for page in PAGES for link in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8"))]
    assert len(links) > 100
    assert [(page, link) for page, link in links if not link.startswith("http") and not is_there(page, link)] == []


def test_the_index_links_to_every_page() -> None:
    text = (DOCS / "index.md").read_text(encoding="utf-8")
    pages = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")} - {"index.md"}
    assert pages - set(re.findall(r"\]\(([^)#]+)", text)) == set()


def test_every_source_file_that_a_page_names_is_there() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in DOCS.rglob("*.md"))
    named = re.findall(r"`((?:app|training|tests|docker)/[\w/.-]+)`", text)
    assert named
    assert [name for name in named if not (REPOSITORY / name).exists()] == []


def test_make_proof_runs_every_attack_of_the_table_of_promises() -> None:
    table = (REPOSITORY / "docs" / "operations" / "limits.md").read_text(encoding="utf-8").split("| promise |")[1]
    named = re.findall(r"`(tests/[\w/.]+)`", table.split("\n\n")[0])
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    (run,) = re.findall(r"^\tLIKENESS_PROOF=full .* (tests/proof \$\(ATTACKS\))$", makefile, re.MULTILINE)
    (beside,) = re.findall(r"^ATTACKS := (.*)$", makefile, re.MULTILINE)
    assert run
    assert {name for name in named if not name.startswith("tests/proof/")} == set(beside.split())


def test_every_class_that_the_glossary_names_is_there() -> None:
    named = re.findall(r"`([A-Z][a-z]\w+)`", (DOCS / "glossary.md").read_text(encoding="utf-8"))
    sources = [path for package in ("app", "training") for path in (REPOSITORY / package).rglob("*.py")]
    defined = set(re.findall(r"^class (\w+)", "\n".join(path.read_text() for path in sources), re.MULTILINE))
    assert set(named) - defined == set()


def test_the_api_page_lists_every_route_and_no_other() -> None:
    paths = create_app(Settings()).openapi()["paths"]
    served = {f"{method.upper()} {path}" for path, item in paths.items() for method in item}
    assert set(routes_of((DOCS / "api.md").read_text(encoding="utf-8"))) == served


def test_the_api_page_lists_every_code_of_an_error_and_no_other() -> None:
    section = (DOCS / "api.md").read_text(encoding="utf-8").split("## Errors")[1]
    listed = set(re.findall(r"`([a-z]+_?[a-z_]*)`", section)) - {
        "image",
        "errors",
        "reasons",
        "boxes",
        "rejected",
        "duplicates",
    }
    raised = {kind.code for kind in vars(errors).values() if isinstance(kind, type) and hasattr(kind, "code")}
    assert listed == raised | OF_HTTP | BEFORE_A_REQUEST


def is_there(page: Path, link: str) -> bool:
    path, _, heading = link.partition("#")
    target = page.parent / path if path else page
    return target.exists() and (not heading or heading in headings_of(target))


def headings_of(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def routes_of(text: str) -> Iterator[str]:
    """`GET`, `PUT /path` is two routes; a cell may hold several groups."""
    for cell in re.findall(r"^\| (`(?:GET|POST|PUT|PATCH|DELETE).*?) \|", text, re.MULTILINE):
        waiting: list[str] = []
        for words in re.findall(r"`([^`]+)`", cell):
            method, _, path = words.partition(" ")
            assert method in METHODS
            waiting.append(method)
            if path:
                yield from (f"{each} {path}" for each in waiting)
                waiting = []
