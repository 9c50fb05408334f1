"""The files of others in the page are those that their README names."""

import hashlib
import re
from pathlib import Path

VENDOR = Path(__file__).resolve().parents[3] / "app" / "page" / "vendor"
README = (VENDOR / "README.md").read_text(encoding="utf-8")


def test_each_file_has_the_digest_that_is_stated() -> None:
    stated = dict(re.findall(r"^\| `([^`]+)` .*`([0-9a-f]{64})` \|$", README, re.MULTILINE))
    files = [path for path in VENDOR.iterdir() if path.name != "README.md"]
    assert stated == {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_examples_are_the_photos_of_the_documents() -> None:
    images = VENDOR.parents[2] / "docs" / "images"
    examples = list((VENDOR.parent / "examples").iterdir())
    assert examples
    assert [path.name for path in examples if path.read_bytes() != (images / path.name).read_bytes()] == []
