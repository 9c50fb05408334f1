"""
The 1:N protocol of IJB-B and IJB-C: each probe template is searched in either of two galleries.

The lists are IJB's own (ijbc_1N_gallery_G1.csv and G2, ijbc_1N_probe_mixed.csv), as recognition/_evaluation_/ijb of
insightface reads them. The measures are those of NIST IR 8009 (Grother & Ngan 2014) without a limit of candidates. A
probe has a mate in the gallery, or none. Of those with one, rank k counts the probes with fewer than k other people as
near as the mate, and TPIR those whose mate is within the threshold; FPIR counts the probes without a mate that have
anybody within it.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.domain.arrays import Floats
from training.evaluation.rates_at import tar_at
from training.evaluation.template_lists import Numbers, UnusableTemplates

RANKS = (1, 5, 10)
FPIRS = (0.01, 0.1)
_PROBES = 1024
"""Probes whose distances to the gallery are in memory at once."""


@dataclass(frozen=True)
class People:
    """Templates (T,) and the person of each, by IJB's numbers."""

    name: str
    templates: Numbers
    subjects: Numbers


def read_people(path: Path) -> People:
    """Read a CSV whose columns begin with TEMPLATE_ID, SUBJECT_ID, a line an image. Raises UnusableTemplates."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header, *rows = list(csv.reader(file)) or [[]]
        subject_of = {(int(row[0]), int(row[1])) for row in rows}
    except (OSError, ValueError, IndexError) as error:
        raise UnusableTemplates(f"{path}: expected a template's and a person's number in each line: {error}") from error
    if header[:2] != ["TEMPLATE_ID", "SUBJECT_ID"] or not rows:
        raise UnusableTemplates(
            f"{path}: expected the columns TEMPLATE_ID,SUBJECT_ID and lines below, got {header[:2]}"
        )
    templates, subjects = np.array(sorted(subject_of)).T
    if len(np.unique(templates)) < len(templates):
        raise UnusableTemplates(f"{path}: expected one person for each template, got two for one of them")
    return People(path.stem, templates, subjects)


def identification(names: Numbers, vectors: Floats, galleries: Sequence[People], probes: People) -> dict[str, Any]:
    """Return the rates of each gallery and their means, from unit vectors (T, D) of the templates `names` (T,)."""
    each = {gallery.name: _rates(names, vectors, gallery, probes) for gallery in galleries}
    return {
        "galleries": each,
        "rank": {str(rank): float(np.mean([rates["rank"][str(rank)] for rates in each.values()])) for rank in RANKS},
        "tpir": [
            {
                "fpir": fpir,
                "tpir": float(np.mean([rates["tpir"][number]["tpir"] for rates in each.values()])),
                "supported": all(rates["tpir"][number]["supported"] for rates in each.values()),
            }
            for number, fpir in enumerate(FPIRS)
        ],
    }


def _rates(names: Numbers, vectors: Floats, gallery: People, probes: People) -> dict[str, Any]:
    mate, nearest, rank = _search(
        vectors[np.searchsorted(names, gallery.templates)],
        gallery.subjects,
        vectors[np.searchsorted(names, probes.templates)],
        probes.subjects,
    )
    mated = np.isfinite(mate)
    if not 0 < mated.sum() < len(mated):
        raise UnusableTemplates(
            f"{gallery.name}: expected probes with and without a mate, got {mated.sum()} of {len(mated)} with one"
        )
    return {
        "people": len(np.unique(gallery.subjects)),
        "mated": int(mated.sum()),
        "not_mated": int((~mated).sum()),
        "rank": {str(each): float(np.mean(rank[mated] <= each)) for each in RANKS},
        "tpir": [
            {"fpir": row["far"], "tpir": row["tar"], "threshold": row["threshold"], "supported": row["supported"]}
            for row in tar_at(np.where(mated, mate, nearest), mated, FPIRS)
        ],
    }


def _search(
    gallery: Floats, people: Numbers, probes: Floats, searched: Numbers
) -> tuple[NDArray[np.float64], NDArray[np.float64], Numbers]:
    """Return the squared distances of each probe's mate, infinite without one, and of the nearest; the mate's rank."""
    found = []
    for start in range(0, len(probes), _PROBES):
        part = slice(start, start + _PROBES)
        distances = 2 - 2 * probes[part].astype(np.float64) @ gallery.T.astype(np.float64)  # (P, G)
        same = searched[part, None] == people
        mate = np.where(same, distances, np.inf).min(1)
        nearer = (~same & (distances <= mate[:, None])).sum(1)
        found.append((mate, distances.min(1), nearer + 1))
    mates, nearest, ranks = (np.concatenate(part) for part in zip(*found, strict=True))
    return mates, nearest, ranks
