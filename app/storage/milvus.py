"""
The vectors of all galleries in Milvus, as an index. Only this module imports pymilvus.

A gallery has a collection, and in it an entity that says which revision it has, and whether it is complete. A
collection that is made anew gets another name, and the one before serves until it is complete. Searches are strongly
consistent by default: they see whatever was written before them, by any process, and wait for Milvus to confirm that.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, TypeAlias

import grpc
import numpy as np
from pymilvus import DataType, MilvusClient, MilvusException

from app.domain.arrays import Floats
from app.domain.errors import SearchUnavailable
from app.domain.ports import IndexState, Nearest

Consistency: TypeAlias = Literal["strong", "bounded"]

logging.getLogger("pymilvus").setLevel(logging.CRITICAL)  # it logs each failed call with its stack

_LARGEST_COUNT = 16_384  # a limit of Milvus
_BATCH = 4096  # entities of one message: 8 MB of vectors with 512 numbers, where 64 are allowed
_STATE = "\tstate"
"""The key of the entity that has the state; no id of a face has a control character."""
_UNFINISHED = "unfinished"
_FLAT = "FLAT"
_LONG_TIMEOUT = 60.0
"""Seconds for what no request waits for."""
_BREADTH = 128
_CHANNEL = {"grpc.use_local_subchannel_pool": 1, "grpc.max_reconnect_backoff_ms": 1000}
"""Options of gRPC, which otherwise waits up to two minutes before it tries to connect again, for all clients."""
_PARAMETERS = {"HNSW": {"M": 32, "efConstruction": 200}}


class MilvusIndex:
    """Implements VectorIndex. Thread-safe. Connects when it is used, and again after Milvus was away."""

    largest_count = _LARGEST_COUNT

    def __init__(
        self,
        address: str,
        installation: str,
        *,
        token: str = "",
        database: str = "",
        kind: str = _FLAT,
        consistency: Consistency = "strong",
        timeout: float = 5.0,
    ) -> None:
        """`address` is a URL; `installation` tells our collections from those of others; `kind` is an index type."""
        self._address, self._prefix = address, f"likeness_{installation}_"
        self._token, self._database, self._kind = token, database, kind.upper()
        self._consistency, self._timeout = consistency.capitalize(), timeout
        self._client: MilvusClient | None = None
        self._names: dict[int, str] = {}
        self._dimensions: dict[str, int] = {}
        self._loaded: set[str] = set()
        self._lock = threading.Lock()

    def close(self) -> None:
        with self._lock:
            client, self._client = self._client, None
            self._loaded.clear()
        if client:
            client.close()

    def numbers(self) -> set[int]:
        with self._connected() as client:
            return {self._number(name) for name in self._collections(client)}

    def state(self, gallery: int) -> IndexState | None:
        with self._connected() as client:
            found = [(name, state) for name, state in self._states(client, gallery) if state.is_complete]
        return self._use_newest(gallery, found)

    def unfinished(self, gallery: int, form: str) -> IndexState | None:
        with self._connected() as client:
            found = [each for each in self._states(client, gallery) if not each[1].is_complete and each[1].form == form]
        return self._use_newest(gallery, found)

    def _use_newest(self, gallery: int, found: Sequence[tuple[str, IndexState]]) -> IndexState | None:
        """Work with the collection that has the highest revision, and return its state."""
        if not found:
            return None
        self._names[gallery], state = max(found, key=lambda each: each[1].revision)
        return state

    def begin(self, gallery: int, dimension: int) -> None:
        with self._connected() as client:
            complete = {name for name, state in self._states(client, gallery) if state.is_complete}
            for name in set(self._collections(client, gallery)) - complete:
                client.drop_collection(name, timeout=self._timeout)
            name = self._create(client, gallery, dimension)
            self._names[gallery], self._dimensions[name] = name, dimension

    def remove(self, gallery: int, face_ids: Sequence[str]) -> None:
        with self._connected() as client:
            for start in range(0, len(face_ids), _BATCH):
                batch = list(face_ids[start : start + _BATCH])
                client.delete(self._names[gallery], ids=batch, timeout=self._timeout)

    def add(self, gallery: int, face_ids: Sequence[str], vectors: Floats) -> None:
        with self._connected() as client:
            for start in range(0, len(face_ids), _BATCH):
                rows = zip(face_ids[start : start + _BATCH], vectors[start : start + _BATCH], strict=True)
                entities = [{"face": face_id, "vector": vector, "state": ""} for face_id, vector in rows]
                client.upsert(self._names[gallery], entities, timeout=_LONG_TIMEOUT)

    def set_state(self, gallery: int, state: IndexState) -> None:
        name = self._names[gallery]
        nothing = np.zeros(self._dimensions[name], np.float32)
        words = [str(state.revision), state.form, state.head, *([] if state.is_complete else [_UNFINISHED])]
        with self._connected() as client:
            entity = {"face": _STATE, "vector": nothing, "state": " ".join(words)}
            client.upsert(name, [entity], timeout=self._timeout)
            if state.is_complete:
                for other in set(self._collections(client, gallery)) - {name}:
                    client.drop_collection(other, timeout=self._timeout)

    def drop(self, gallery: int) -> None:
        with self._connected() as client:
            for name in self._collections(client, gallery):
                client.drop_collection(name, timeout=self._timeout)
        self._names.pop(gallery, None)

    def nearest(self, gallery: int, query: Floats, count: int, *, exact: bool) -> Nearest:
        """Return the nearest; exactly so if the collection has an index of the kind FLAT, whatever `exact` says."""
        del exact
        try:
            hits = self._search(gallery, query, count)
        except SearchUnavailable:
            if self.state(gallery) is None:
                raise
            hits = self._search(gallery, query, count)  # another process has made the collection anew
        found = [(hit["face"], float(hit["distance"])) for hit in hits]
        bound = found[-1][1] if len(found) == count else -np.inf
        return Nearest([face_id for face_id, _ in found if face_id != _STATE], bound)

    def _search(self, gallery: int, query: Floats, count: int) -> Sequence[Any]:
        if gallery not in self._names:
            raise SearchUnavailable("the index in Milvus has nothing of the gallery")
        with self._connected() as client:
            (hits,) = client.search(
                self._names[gallery],
                [query],
                limit=count,
                anns_field="vector",
                output_fields=["face"],
                search_params={"metric_type": "IP", "params": self._search_parameters(count)},
                consistency_level=self._consistency,
                timeout=self._timeout,
            )
            return list(hits)

    def build_graphs(self) -> None:
        """Do nothing: Milvus builds what the collection asks for."""

    def _search_parameters(self, count: int) -> dict[str, int]:
        return {"ef": max(_BREADTH, count)} if self._kind == "HNSW" else {}

    def _collections(self, client: MilvusClient, gallery: int | None = None) -> list[str]:
        prefix = self._prefix if gallery is None else f"{self._prefix}{gallery}_"
        return [name for name in client.list_collections(timeout=self._timeout) if name.startswith(prefix)]

    def _number(self, name: str) -> int:
        return int(name.removeprefix(self._prefix).split("_")[0])

    def _states(self, client: MilvusClient, gallery: int) -> list[tuple[str, IndexState]]:
        """Return the names of the gallery's collections, and their states if they have any."""
        found = [(name, self._read_state(client, name)) for name in self._collections(client, gallery)]
        return [(name, state) for name, state in found if state]

    def _read_state(self, client: MilvusClient, name: str) -> IndexState | None:
        if name not in self._loaded:  # a server that was restarted may have none in its memory
            client.load_collection(name, timeout=_LONG_TIMEOUT)
            self._loaded.add(name)
        found = client.get(
            name, ids=[_STATE], output_fields=["state", "vector"], timeout=self._timeout, consistency_level="Strong"
        )
        if not found:
            return None
        self._dimensions[name] = len(found[0]["vector"])
        revision, form, head, *rest = found[0]["state"].split(" ")
        return IndexState(int(revision), form, head, is_complete=_UNFINISHED not in rest)

    def _create(self, client: MilvusClient, gallery: int, dimension: int) -> str:
        name = f"{self._prefix}{gallery}_{os.urandom(4).hex()}"
        schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("face", DataType.VARCHAR, is_primary=True, max_length=512)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dimension)
        schema.add_field("state", DataType.VARCHAR, max_length=512)
        index = client.prepare_index_params()
        index.add_index("vector", index_type=self._kind, metric_type="IP", params=_PARAMETERS.get(self._kind, {}))
        client.create_collection(
            name, schema=schema, index_params=index, consistency_level=self._consistency, timeout=_LONG_TIMEOUT
        )
        return name

    @contextmanager
    def _connected(self) -> Iterator[MilvusClient]:
        try:
            yield self._open()
        except (MilvusException, grpc.RpcError, OSError) as error:
            self.close()
            raise SearchUnavailable(f"the index in Milvus cannot be used now: {_reason(error)}") from None

    def _open(self) -> MilvusClient:
        with self._lock:
            if self._client is None:
                self._client = MilvusClient(
                    uri=self._address,
                    token=self._token,
                    db_name=self._database,
                    timeout=self._timeout,
                    dedicated=True,
                    grpc_options=_CHANNEL,
                )
            return self._client


def _reason(error: Exception) -> str:
    """Return the first line of what the server or pymilvus says."""
    text: Any = getattr(error, "message", "") or str(error)
    return next(iter(str(text).splitlines()), "") or type(error).__name__
