"""The search that LIKENESS_SEARCH names opens, or the start ends with a sentence that says why not."""

from contextlib import closing
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from app.bootstrap.search import open_search
from app.domain.errors import StartError
from app.gallery.search import GallerySearch
from app.settings import Settings
from tests.support.commands import encryption_key
from tests.support.repository import FileRepository


def opened(path: Path, **settings: object) -> object:
    chosen = Settings(_env_file=None, **settings)  # type: ignore[arg-type]
    with closing(FileRepository(path)) as repository, open_search(chosen, repository) as search:
        return search


def test_the_index_is_in_memory_by_default(path: Path) -> None:
    assert isinstance(opened(path), GallerySearch)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"search": "PGVECTOR"}, "LIKENESS_SEARCH=pgvector needs LIKENESS_DATABASE=postgresql://"),
        ({"search": "milvus://host", "encryption_key": encryption_key()}, "milvus would hold vectors that no key"),
        ({"search": "milvus://host?nearest=hnsw"}, "expected LIKENESS_SEARCH=milvus://host:port/database with"),
        ({"search": "milvus://host?consistency=never"}, "consistency=strong or bounded"),
        ({"search": "milvus://"}, "expected LIKENESS_SEARCH=milvus://host:port/database with"),
    ],
)
def test_settings_that_cannot_be_used_are_told(path: Path, settings: dict[str, object], problem: str) -> None:
    with pytest.raises(StartError, match=problem):
        opened(path, **settings)


def test_a_missing_package_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.bootstrap.search.find_spec", lambda _: None)
    with pytest.raises(StartError, match=r"install likeness\[milvus\]"):
        opened(path, search="milvus://host")


@pytest.mark.parametrize("search", ["milvus://root:secret@host", "quickly", "http://host"])
def test_a_wrong_address_is_refused_and_its_password_is_not_told(search: str) -> None:
    with pytest.raises(ValidationError) as raised:
        Settings(search=search, _env_file=None)
    assert "secret" not in raised.value.errors()[0]["msg"]


def test_a_service_starts_while_milvus_is_away(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    chosen = Settings(search="milvus://127.0.0.1:1", search_token=SecretStr("root:secret"), _env_file=None)
    with closing(FileRepository(path)) as repository, open_search(chosen, repository) as search:
        repository.create_gallery("default")
        search.load_indexes()

        assert search.pending() == 1
    assert "searches get 503 until it can" in caplog.text
    assert "secret" not in caplog.text
