"""Open the search that LIKENESS_SEARCH names: in this process, in PostgreSQL, or in Milvus."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from typing import get_args
from urllib.parse import parse_qsl, urlsplit

from app.bootstrap.storage import read_encryption_keys
from app.domain.errors import StartError
from app.domain.ports import VectorIndex
from app.gallery.external_search import ExternalSearch
from app.gallery.repository import GalleryRepository
from app.gallery.search import GallerySearch
from app.gallery.searching import Search
from app.settings import Settings

PGVECTOR, PGVECTOR_HNSW, MILVUS = "pgvector", "pgvector-hnsw", "milvus://"
_MILVUS_PORT = 19530
_IN_CLEAR = (
    "expected LIKENESS_SEARCH=exact or hnsw with an encryption key: {kind} would hold vectors that no key protects. "
    "LIKENESS_SEARCH_IN_CLEAR=on allows it; SECURITY.md says what they still hide"
)


def is_external(settings: Settings) -> bool:
    """Return whether the index is outside of this process."""
    return settings.search not in ("exact", "hnsw")


def builds_graphs(settings: Settings) -> bool:
    return settings.search in ("hnsw", PGVECTOR_HNSW)


@contextmanager
def open_search(settings: Settings, repository: GalleryRepository) -> Iterator[Search]:
    """Raises StartError if the index cannot be used with these settings."""
    if is_external(settings):
        with open_external_search(settings, repository) as search:
            yield search
    else:
        yield GallerySearch(repository)


@contextmanager
def open_external_search(settings: Settings, repository: GalleryRepository) -> Iterator[ExternalSearch]:
    """Raises StartError as `open_search`."""
    if read_encryption_keys(settings) and not settings.search_in_clear:
        raise StartError(_IN_CLEAR.format(kind=settings.search.partition("://")[0]))
    with closing(_open_index(settings, repository)) as index:
        yield ExternalSearch(repository, index)


def _open_index(settings: Settings, repository: GalleryRepository) -> VectorIndex:
    if settings.search.startswith(MILVUS):
        return _open_milvus(settings, repository.installation())
    index = repository.vector_table(hnsw=settings.search == PGVECTOR_HNSW)
    if index is None:
        raise StartError(f"LIKENESS_SEARCH={settings.search} needs LIKENESS_DATABASE=postgresql://...")
    return index


def _open_milvus(settings: Settings, installation: str) -> VectorIndex:
    if find_spec("pymilvus") is None:
        raise StartError("LIKENESS_SEARCH=milvus:// needs the package pymilvus: install likeness[milvus]")
    from app.storage.milvus import Consistency, MilvusIndex

    url = urlsplit(settings.search)
    options = dict(parse_qsl(url.query))
    consistency = options.pop("consistency", "strong")
    kind, tls = options.pop("index", "flat"), options.pop("tls", "off")
    if options or not url.hostname or consistency not in get_args(Consistency) or tls not in ("on", "off"):
        raise StartError(
            "expected LIKENESS_SEARCH=milvus://host:port/database with the options index=, consistency=strong or "
            f"bounded, and tls=on or off, got {settings.search}"
        )
    return MilvusIndex(
        f"{'https' if tls == 'on' else 'http'}://{url.hostname}:{url.port or _MILVUS_PORT}",
        installation,
        token=settings.search_token.get_secret_value() if settings.search_token else "",
        database=url.path.strip("/"),
        kind=kind,
        consistency="bounded" if consistency == "bounded" else "strong",
    )
