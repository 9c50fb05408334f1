"""Rank k and TPIR at FPIR of searches in galleries, beside loops over probes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from training.evaluation.template_lists import UnusableTemplates
from training.evaluation.template_search import FPIRS, RANKS, People, identification, read_people


def loop(vectors: dict[int, Any], gallery: dict[int, int], probes: dict[int, int]) -> tuple[list[float], list[float]]:
    """Return rank k and TPIR at FPIR from sorted candidate lists, one probe after the other."""
    ranks, mates, false_alarms = [], [], []
    for probe, person in probes.items():
        candidates = sorted((float(((vectors[probe] - vectors[one]) ** 2).sum()), who) for one, who in gallery.items())
        if person in gallery.values():
            place = [who for _, who in candidates].index(person)
            ranks.append(place + 1)
            mates.append(candidates[place][0])
        else:
            false_alarms.append(candidates[0][0])
    tpirs = []
    for fpir in FPIRS:
        thresholds = [t for t in sorted(mates) if sum(d <= t for d in false_alarms) / len(false_alarms) <= fpir]
        tpirs.append(sum(mate <= max(thresholds, default=-1.0) for mate in mates) / len(mates))
    return [sum(rank <= k for rank in ranks) / len(ranks) for k in RANKS], tpirs


def test_the_rates_are_those_of_a_loop_over_sorted_candidates() -> None:
    random = np.random.default_rng(7)
    people = random.normal(size=(120, 16))
    probes = {1000 + n: n % 120 for n in range(1500)}  # more than are in memory at once
    galleries = [{n: n for n in range(50)}, {n: n for n in range(60, 100)}]
    whose = probes | galleries[0] | galleries[1]
    vectors = {}
    for name, who in whose.items():
        vector = people[who] + 0.7 * random.normal(size=16)
        vectors[name] = vector / np.linalg.norm(vector)
    names = np.array(sorted(vectors))
    report = identification(
        names,
        np.array([vectors[name] for name in names.tolist()], np.float32),
        [People(f"G{n}", np.array([*g]), np.array([*g.values()])) for n, g in enumerate(galleries, start=1)],
        People("probes", np.array([*probes]), np.array([*probes.values()])),
    )
    expected = [loop(vectors, gallery, probes) for gallery in galleries]
    for (ranks, tpirs), rates in zip(expected, report["galleries"].values(), strict=True):
        assert list(rates["rank"].values()) == pytest.approx(ranks)
        assert [row["tpir"] for row in rates["tpir"]] == pytest.approx(tpirs)
    assert list(report["rank"].values()) == pytest.approx(np.mean([ranks for ranks, _ in expected], axis=0))
    assert [row["tpir"] for row in report["tpir"]] == pytest.approx(np.mean([tpirs for _, tpirs in expected], axis=0))
    assert 0.05 < report["tpir"][0]["tpir"] < report["tpir"][1]["tpir"] < report["rank"]["5"] < report["rank"]["10"] < 1
    assert [row["supported"] for row in report["tpir"]] == [True, True]


def test_everybody_alike_is_found_at_no_rank() -> None:
    gallery = People("G1", np.arange(20), np.arange(20))
    probes = People("probes", np.arange(20, 42), np.arange(22))
    report = identification(np.arange(42), np.full((42, 4), 0.5, np.float32), [gallery], probes)
    assert (report["rank"]["10"], report["tpir"][1]["tpir"]) == (0, 0)


def test_probes_who_are_all_in_the_gallery_are_refused() -> None:
    people = People("G1", np.array([1, 2]), np.array([20, 30]))
    with pytest.raises(UnusableTemplates, match="G1: expected probes with and without a mate, got 2 of 2 with one"):
        identification(np.array([1, 2]), np.eye(2, dtype=np.float32), [people], people)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("1 2 a.jpg\n", r"expected the columns TEMPLATE_ID,SUBJECT_ID and lines below, got \['1 2 a.jpg'\]"),
        ("TEMPLATE_ID,SUBJECT_ID\n1,two\n", "expected a template's and a person's number in each line"),
        ("TEMPLATE_ID,SUBJECT_ID\n1\n", "expected a template's and a person's number in each line"),
        ("TEMPLATE_ID,SUBJECT_ID\n1,2\n1,3\n", "expected one person for each template, got two"),
        ("", r"expected the columns TEMPLATE_ID,SUBJECT_ID and lines below, got \[\]"),
    ],
)
def test_a_broken_list_of_people_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "ijbc_1N_gallery_G1.csv").write_text(text)
    with pytest.raises(UnusableTemplates, match=complaint):
        read_people(tmp_path / "ijbc_1N_gallery_G1.csv")
