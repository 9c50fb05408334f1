"""Settings of the galleries: where they are kept, how they are encrypted and searched, and for how long."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field, SecretStr

from app.settings.value_types import Duration, check_search


class GallerySettings(BaseModel):
    data_dir: Path = Field(Path("data"), description="Directory of the gallery's database.")
    database: SecretStr | None = Field(
        None,
        description="Address of a PostgreSQL database (`postgresql://user@host/name`, extra `postgres`) that several "
        "machines share, instead of the file in `data_dir`. libpq's variables (`PGPASSWORD`, `PGPASSFILE`) hold too.",
    )
    search: Annotated[str, AfterValidator(check_search)] = Field(
        "exact",
        description="`exact` compares a photo with every face; `hnsw` follows a graph of near faces, which is faster "
        "from a million faces on, and misses some: `likeness gallery recall` says how many. Indexes outside of the "
        "service: `pgvector` or `pgvector-hnsw` in PostgreSQL, or `milvus://host:19530` (extra `milvus`).",
    )
    search_token: SecretStr | None = Field(None, description="Token of Milvus, or `user:password`.")
    search_in_clear: bool = Field(
        default=False,
        description="Let pgvector or Milvus hold vectors that the encryption key does not protect; without it, they "
        "are refused together with a key.",
    )
    encryption_key: SecretStr | None = Field(
        None,
        description="Encrypts templates and metadata: base64 of 32 bytes. If there are several, the first encrypts.",
    )
    encryption_key_file: Path | None = Field(None, description="A file that holds the encryption key or keys instead.")
    data_keys_dir: Path | None = Field(
        None,
        description="Directory of the data keys of an encrypted gallery, for a volume that no snapshot of the database "
        "includes. By default they are beside the database.",
    )
    keep_crops: bool = Field(
        default=False,
        description="Also store the aligned crop of each enrolled face, so that `likeness gallery re-embed` can give a "
        "gallery another model without new photos. A crop is a small picture of the face.",
    )
    retention: Duration | None = Field(None, description="Faces enrolled longer ago than this (90d, 12h) are erased.")
    audit_searches: bool = Field(
        default=True, description="Also record identifications and verifications of subjects in the audit log."
    )
