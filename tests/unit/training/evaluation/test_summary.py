"""The lines that `evaluate lfw` prints."""

from typing import Any

from training.evaluation.summary import summary

GROUP = {
    "name": "old",
    "people": 12,
    "images": 24,
    "impostor_pairs": 264,
    "genuine_pairs": 0,
    "median_inside": 0.9,
    "fmr": 0.25,
    "interval": [0.125, 0.5],
    "tmr": None,
    "tmr_interval": None,
}
RATE = {"fmr": 0.01, "threshold": 1.25, "tmr": 0.75, "interval": [0.5, 0.875]}
REPORT: dict[str, Any] = {
    "model": {"id": "one"},
    "images": 60,
    "people": 30,
    "faces_not_found": 1,
    "eer": 0.125,
    "auc": 0.875,
    "accuracy": {"mean": 0.75, "error": 0.125, "folds": [0.5, 1.0]},
    "val": {"mean": 0.5, "error": 0.25, "far": 0.01},
    "all_pairs": {"clean": {"impostor_people_pairs": 1770, "finest_fmr": 3 / 1770, "tmr": [RATE]}},
    "gain": {
        "protocol": {"accuracy": {"mean": -0.5, "interval": [-0.75, 0.25]}},
        "clean": [{"fmr": 0.01, "tmr": 0.5, "interval": [0.25, 0.75]}],
    },
    "groups": [GROUP, GROUP | {"genuine_pairs": 12, "tmr": 0.5, "tmr_interval": [0.25, 0.75]}],
}


def test_each_rate_has_a_line_with_its_interval() -> None:
    group = "old: FMR 0.25 [0.12, 0.5], 12 people, 264 pairs, inside 0.90"
    assert summary(REPORT).splitlines() == [
        "one: 60 images of 30 people, 1 faces not found",
        "accuracy 0.7500 +- 0.1250 over 2 folds",
        "VAL 0.5000 +- 0.2500 at FAR 0.01; EER 0.1250; AUC 0.87500",
        "gain over the baseline, accuracy: -0.5000 [-0.7500, +0.2500]",
        "clean: 1,770 pairs of people support FMRs down to 1.7e-03",
        "clean: TMR 0.7500 [0.5000, 0.8750] at FMR 0.01, threshold 1.250",
        "clean: gain over the baseline +0.5000 [+0.2500, +0.7500] at FMR 0.01",
        group,
        f"{group}, TMR 0.5000 [0.2500, 0.7500]",
    ]
