"""The site of the documents is built without a broken link or anchor, and asks nobody else for anything."""

import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.docs_site import CONFIG, PAGES, REPOSITORY, build


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("documents"))


def pages_of(nav: object) -> Iterator[str]:
    """Yield the pages of a navigation: a page, or lists of and titles before further ones."""
    if isinstance(nav, str):
        yield nav
    else:
        for each in nav.values() if isinstance(nav, dict) else nav if isinstance(nav, list) else ():
            yield from pages_of(each)


def test_the_navigation_has_every_page_of_the_documents_once() -> None:
    listed = sorted(pages_of(tomllib.loads(CONFIG.read_text())["project"]["nav"]))
    pages = {str(page.relative_to(REPOSITORY)) for page in (REPOSITORY / "docs").rglob("*.md")} - {"docs/index.md"}
    assert pages - set(listed) == set()
    assert len(listed) == len(set(listed))


def test_every_page_and_what_it_links_to_is_in_the_site(site: Path) -> None:
    for pattern in PAGES:
        for page in REPOSITORY.glob(pattern):
            built = site / page.relative_to(REPOSITORY).with_suffix(".html")
            assert built.exists() or (page.stem == "README" and built.with_name("index.html").exists())
    assert (site / "docs" / "images" / "collins.jpg").exists()


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    loading = re.compile(r'(?:src|srcset)="(?:https?:)?//[^"]*"|<link [^>]*href="(?:https?:)?//[^"]*"')
    loaded = {found for page in site.rglob("*.html") for found in loading.findall(page.read_text())}
    styles = {found for file in site.rglob("*.css") for found in re.findall(r"url\(.?https?:[^)]*", file.read_text())}
    assert loaded | styles == set()


def test_a_broken_link_or_anchor_ends_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "README.md").write_text("# A\n\n[gone](docs/gone.md) [nowhere](#nowhere)\n")
    (tmp_path / "site.toml").write_text('[project]\nsite_name = "A"\ndocs_dir = "pages"\n')
    monkeypatch.setattr("tests.support.docs_site.REPOSITORY", tmp_path)
    monkeypatch.setattr("tests.support.docs_site.CONFIG", tmp_path / "site.toml")
    with pytest.raises(subprocess.CalledProcessError):
        build(tmp_path / "built")
