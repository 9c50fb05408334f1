"""`likeness gallery recall`: how much an approximate search finds."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from app.bootstrap.search import is_external, open_external_search
from app.cli.gallery.opening import GalleryName, with_settings
from app.cli.output import SUCCESS, AsJson, Result, run
from app.cli.progress import waiting
from app.gallery import recall
from app.gallery.repository import GalleryRepository
from app.settings import Settings


def measure_recall(
    gallery: GalleryName,
    sample: Annotated[int, typer.Option(min=1, help="Of how many faces.")] = 500,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Measure how much of the exact result LIKENESS_SEARCH=hnsw finds, or the index in pgvector or Milvus."""

    def work(settings: Settings, repository: GalleryRepository) -> Result:
        with waiting("searching"):
            if is_external(settings):
                with open_external_search(settings, repository) as search:
                    search.update_index(gallery)
                    search.build_graphs()
                    measured = recall.measure(repository, gallery, sample, external=search)
            else:
                measured = recall.measure(repository, gallery, sample)
        graphs = "" if measured.in_graphs is None else f", {measured.in_graphs:.0%} of which are in graphs"
        text = (
            f"{measured.nearest:.2%} of the nearest subjects and {measured.ten_nearest:.2%} of the ten nearest are "
            f"found ({measured.sample} searches among {measured.faces} faces{graphs})"
        )
        return SUCCESS, {"gallery": gallery, **asdict(measured)}, text

    run(as_json, with_settings(work))
