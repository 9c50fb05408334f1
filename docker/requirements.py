"""Prints what pyproject.toml asks for with one extra, so that an image layer of packages outlives a change of code."""

import sys
import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
sys.stdout.write("\n".join(project["dependencies"] + project["optional-dependencies"][sys.argv[1]]) + "\n")
