"""Every error of the service has its sentence in the page."""

import re

from app.api.problems import PROBLEM_TYPES

from .test_vendor import VENDOR


def test_each_code_of_an_error_has_a_sentence() -> None:
    text = (VENDOR.parent / "texts" / "en.js").read_text(encoding="utf-8")
    told = set(re.findall(r'^  "problem\.(\w+)":', text, re.MULTILINE))
    assert set(PROBLEM_TYPES) - told == set()
