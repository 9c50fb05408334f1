"""
Protocols of pairs that are more than one list: CFP's (Sengupta et al. 2016) and AgeDB-30's (Moschoglou et al. 2017).

The formats are those that CFP's Readme.txt and insightface's src/data/agedb2pack.py describe.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from training.evaluation.pairs import PairList, UnusablePairs, pair_list, read_text

CFP_LISTS = {"Pair_list_F.txt": "FF", "Pair_list_P.txt": "FP"}
"""The list of the second images, and the folder of the splits: frontal with frontal, or with profile."""
_CFP_IMAGES = "../Data/Images/"


def read_cfp(path: Path) -> PairList:
    """
    Read the splits beside CFP's list of second images; images are named below Data/Images, as 001/frontal/01.jpg.

    Lines of the list are `1 ../Data/Images/001/profile/01.jpg`; those of Split/FP/01/same.txt and diff.txt, `1,1`, are
    the numbers of a frontal and a profile image. Raises UnusablePairs.
    """
    first, second = _cfp_images(path.with_name("Pair_list_F.txt")), _cfp_images(path)
    splits = sorted(path.parent.glob(f"Split/{CFP_LISTS[path.name]}/*/"))
    if len(splits) < 2:
        raise UnusablePairs(f"{path}: expected folders Split/{CFP_LISTS[path.name]}/01 to 10 beside it")
    named, same, fold = [], [], []
    for number, split in enumerate(splits):
        for kind in ("same", "diff"):
            pairs = _cfp_pairs(split / f"{kind}.txt", first, second)
            named += pairs
            same += [kind == "same"] * len(pairs)
            fold += [number] * len(pairs)
    return pair_list(named, np.array(same), np.array(fold), lambda image: PurePosixPath(image).parts[0])


def read_agedb(path: Path) -> PairList:
    """
    Read 04_FINAL_protocol_30_years.mat; its images are in 03_Protocol_Images, and their names begin with the person's.

    `splits` has a cell for each fold: a struct of the pairs, 2 x 600 structs that begin with the image's name without
    `.jpg`, and of their labels, 1 or -1. Raises UnusablePairs.
    """
    try:
        splits: list[Any] = [cell[0, 0] for cell in loadmat(path)["splits"].ravel()]
        named = [(_agedb_image(one), _agedb_image(other)) for split in splits for one, other in split[0].T]
        labels = [split[1].ravel() for split in splits]
        same = np.concatenate(labels) > 0
        fold = np.repeat(np.arange(len(splits)), [len(each) for each in labels])
    except (OSError, MatReadError, NotImplementedError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise UnusablePairs(f"{path}: expected AgeDB's splits in a file of MATLAB: {error!r}") from error
    if not len(named) == len(same) or not len(splits) > 1:
        raise UnusablePairs(f"{path}: expected a label for each of the pairs, got {len(named)} and {len(same)}")
    return pair_list(named, same, fold, lambda image: image.partition("_")[0])


def _agedb_image(cell: Any) -> str:
    return f"{cell[0, 0][0][0]}.jpg"


def _cfp_images(path: Path) -> dict[str, str]:
    """Return the images by their numbers."""
    images = {}
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        words = line.split()
        if len(words) != 2 or not words[1].startswith(_CFP_IMAGES):
            raise UnusablePairs(f"{path}, line {number}: expected `1 {_CFP_IMAGES}001/frontal/01.jpg`, got {line!r}")
        images[words[0]] = words[1].removeprefix(_CFP_IMAGES)
    return images


def _cfp_pairs(path: Path, first: dict[str, str], second: dict[str, str]) -> list[tuple[str, str]]:
    pairs = []
    for number, line in enumerate(read_text(path).split(), start=1):
        one, _, other = line.partition(",")
        if one not in first or other not in second:
            raise UnusablePairs(f"{path}, line {number}: expected the numbers of two images, as `1,1`, got {line!r}")
        pairs.append((first[one], second[other]))
    return pairs
