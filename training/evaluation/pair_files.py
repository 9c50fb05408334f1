"""Lists of pairs in text files: LFW's, CALFW's, CPLFW's, and any CSV `first,second,same,fold`."""

from __future__ import annotations

import csv
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from training.evaluation.pair_protocols import CFP_LISTS, read_agedb, read_cfp
from training.evaluation.pairs import FOLDS, PairList, UnusablePairs, pair_list, read_text


def read_pairs(path: Path) -> PairList:
    """
    Read a list of pairs; its name, or its first line, tells the format. Raises UnusablePairs.

    The formats are a CSV `first,second,same,fold`, the lists of LFW, CALFW, CPLFW, CFP (Pair_list_P.txt, with the
    splits beside it) and AgeDB-30 (04_FINAL_protocol_30_years.mat), and lines `1 first second`.
    """
    if path.suffix == ".mat":
        return read_agedb(path)
    if path.name in CFP_LISTS:
        return read_cfp(path)
    text = read_text(path)
    if path.suffix == ".csv":
        return _from_csv(path, text)
    lines = [line.split() for line in text.splitlines() if line.strip()]
    first = lines[0] if lines else []
    if len(first) == 2 and not first[0].isdecimal():
        return _from_two_lines(path, lines)
    return _from_labels(path, lines) if len(first) == 3 and first[0] in ("0", "1") else _from_lfw(path, lines)


def _from_csv(path: Path, text: str) -> PairList:
    """Read columns first, second, same (1 or 0) and optionally fold; without it pairs go to ten folds in turn."""
    rows = list(csv.DictReader(text.splitlines()))
    if not rows or not {"first", "second", "same"} <= set(rows[0]):
        raise UnusablePairs(
            f"{path}, line 1: expected the columns first, second, same (and fold), and pairs below them"
        )
    for number, row in enumerate(rows, start=2):
        if not (row["first"] and row["second"] and row["same"] in ("0", "1")):
            raise UnusablePairs(f"{path}, line {number}: expected two images and 1 or 0, got {list(row.values())}")
    same = np.array([row["same"] == "1" for row in rows])
    folds = [row["fold"] for row in rows] if "fold" in rows[0] else [str(n % FOLDS) for n in range(len(rows))]
    fold = np.unique(folds, return_inverse=True)[1].astype(np.int64)
    if same.all() or not same.any() or not fold.any():
        raise UnusablePairs(f"{path}: expected genuine and impostor pairs in at least two folds")
    return pair_list([(row["first"], row["second"]) for row in rows], same, fold)


def _from_two_lines(path: Path, lines: list[list[str]]) -> PairList:
    """
    Read the lists of CALFW and CPLFW: two lines `NAME_0001.jpg 1` a pair; 0 says that the people differ.

    CALFW's number is the fold of a genuine pair, and CPLFW's is 1. Neither has the fold of an impostor pair: as in
    JDAI-CV/FaceX-Zoo (test_protocol/lfw/pairs_parser.py), each fold has a tenth of either kind, in order.
    """
    for number, row in enumerate(lines, start=1):
        other = lines[(number - 1) ^ 1] if (number - 1) ^ 1 < len(lines) else []
        if len(row) != 2 or not row[1].isdecimal() or row[1:] != other[1:]:
            raise UnusablePairs(
                f"{path}, line {number}: expected two lines `NAME_0001.jpg 1` with the same number for each pair, "
                f"got {' '.join(row)!r} beside {' '.join(other)!r}"
            )
    same = np.array([row[1] != "0" for row in lines[::2]])
    if min(same.sum(), (~same).sum()) < FOLDS:
        raise UnusablePairs(
            f"{path}: expected {FOLDS} pairs of each kind or more, got {same.sum()} and {(~same).sum()}"
        )
    fold = np.where(same, _tenths(same), _tenths(~same))
    named = [(first[0], second[0]) for first, second in zip(lines[::2], lines[1::2], strict=True)]
    return pair_list(named, same, fold, lambda image: PurePosixPath(image).stem.rpartition("_")[0])


def _from_labels(path: Path, lines: list[list[str]]) -> PairList:
    """Read lines `1 first second`, or 0, beside folders of a .bin file's crops; ten folds, one after the other."""
    for number, row in enumerate(lines, start=1):
        if len(row) != 3 or row[0] not in ("0", "1"):
            raise UnusablePairs(f"{path}, line {number}: expected `1 first.jpg second.jpg`, got {' '.join(row)!r}")
    same = np.array([row[0] == "1" for row in lines])
    if same.all() or not same.any():
        raise UnusablePairs(f"{path}: expected genuine and impostor pairs")
    return pair_list([(row[1], row[2]) for row in lines], same, np.arange(len(lines)) * FOLDS // len(lines))


def _tenths(kind: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the tenth of its kind to which each pair belongs."""
    return np.asarray((np.cumsum(kind) - 1) * FOLDS // kind.sum(), np.int64)


def _from_lfw(path: Path, lines: list[list[str]]) -> PairList:
    """
    Read LFW's format: the first line has the numbers of folds and of pairs of each kind per fold (`10 300`).

    Without such a line, as in RFW's lists, there are ten folds. In each fold the genuine pairs (`NAME 1 4`) come before
    the impostor pairs (`NAME 3 OTHER 7`).
    """
    without_header = bool(lines) and len(lines[0]) > 2
    folds, size = (FOLDS, len(lines) // (2 * FOLDS)) if without_header else _header(path, lines)
    rows = lines if without_header else lines[1:]
    if len(rows) != 2 * folds * size:
        raise UnusablePairs(f"{path}: expected {folds} folds of 2 x {size} pairs, got {len(rows)} pairs")
    named = [_images(path, number, row) for number, row in enumerate(rows, start=1 if without_header else 2)]
    return pair_list(named, np.array([len(row) == 3 for row in rows]), np.arange(len(rows)) // (2 * size))


def _header(path: Path, lines: list[list[str]]) -> tuple[int, int]:
    try:
        first = [int(word) for word in lines[0]]
        return (first[0], first[1]) if len(first) == 2 else (FOLDS, first[0])
    except (IndexError, ValueError) as error:
        raise UnusablePairs(f"{path}, line 1: expected the number of folds and of pairs, as `10 300`") from error


def _images(path: Path, number: int, row: list[str]) -> tuple[str, str]:
    try:
        if len(row) == 3:
            return _image(row[0], row[1]), _image(row[0], row[2])
        if len(row) == 4:
            return _image(row[0], row[1]), _image(row[2], row[3])
    except ValueError:
        pass
    raise UnusablePairs(f"{path}, line {number}: expected `NAME 1 4` or `NAME 3 OTHER 7`, got {' '.join(row)!r}")


def _image(name: str, number: str) -> str:
    return f"{name}/{name}_{int(number):04d}.jpg"
