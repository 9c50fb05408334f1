"""Takes pip and its like out of the interpreter that runs this: a service installs nothing."""

import os
import shutil
from importlib import metadata, util
from pathlib import Path

PACKAGES = ("pip", "setuptools", "pkg_resources", "_distutils_hack", "wheel", "ensurepip")
DISTRIBUTIONS = ("pip", "setuptools", "wheel")


def folders() -> list[Path]:
    """List the files of the packages, and the records that they are installed."""
    found = [spec for spec in map(util.find_spec, PACKAGES) if spec]
    packages = [Path(place) for spec in found for place in spec.submodule_search_locations or ()]
    return packages + [Path(info._path) for name in DISTRIBUTIONS for info in metadata.distributions(name=name)]


def commands() -> list[Path]:
    return [path for place in os.get_exec_path() for name in DISTRIBUTIONS for path in Path(place).glob(f"{name}*")]


for path in folders():
    shutil.rmtree(path)
for path in commands():
    path.unlink(missing_ok=True)  # /bin and /usr/bin may be one folder
