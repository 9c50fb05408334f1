"""The files of others in the page are those of the packages that package.json names."""

import json
import re
import sys
from pathlib import Path

import pytest

PACKAGES = Path(sys.prefix) / "page" / "node_modules"
HERE = Path(__file__).resolve().parent
VENDOR = HERE.parents[1] / "app" / "page" / "vendor"
ROWS = re.findall(r"^\| `([^`]+)` \| (\S+) (\S+) \| `([^`]+)` \|", (VENDOR / "README.md").read_text(), re.MULTILINE)


@pytest.mark.parametrize(("file", "package", "version", "path"), ROWS)
def test_a_file_is_that_of_its_package(file: str, package: str, version: str, path: str) -> None:
    if not PACKAGES.exists():
        pytest.skip(f"no {PACKAGES}: `make test-slow` installs it with npm")
    assert json.loads((HERE / "tools" / "package.json").read_text())["devDependencies"][package] == version
    assert (VENDOR / file).read_bytes() == (PACKAGES / package / path).read_bytes()
