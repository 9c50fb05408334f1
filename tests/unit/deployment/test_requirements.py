"""constraints.txt, requirements/*.lock and pyproject.toml name the same versions, and nothing without a hash."""

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from .manifests import REPOSITORY

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
both = pytest.mark.parametrize("extra", ["cpu", "gpu"])


def pins(path: str) -> dict[str, str]:
    lines = (REPOSITORY / path).read_text().splitlines()
    found = [re.match(r"([\w.-]+)==(\S+)", line) for line in lines]
    return {canonicalize_name(pin[1]): pin[2] for pin in found if pin}


def names(requirements: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(each).name) for each in requirements}


@both
def test_a_lock_has_the_versions_of_the_constraints(extra: str) -> None:
    constraints = pins("constraints.txt")
    locked = pins(f"requirements/{extra}.lock")
    assert {name: constraints.get(name) for name in locked} == locked


@both
def test_a_lock_has_everything_that_serving_needs_and_no_torch(extra: str) -> None:
    needed = names(PROJECT["project"]["dependencies"] + PROJECT["project"]["optional-dependencies"][extra])
    locked = pins(f"requirements/{extra}.lock").keys()
    assert needed - locked == set()
    assert not locked & {"torch", "torchvision"}


@both
def test_every_package_of_a_lock_has_a_hash_and_no_address(extra: str) -> None:
    text = (REPOSITORY / "requirements" / f"{extra}.lock").read_text()
    entries = re.split(r"^(?=[\w.-]+==)", text, flags=re.MULTILINE)[1:]
    assert len(entries) == len(pins(f"requirements/{extra}.lock")) > 30
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []
    assert "://" not in text


def test_every_package_that_the_project_asks_for_is_pinned() -> None:
    groups = [*PROJECT["project"]["optional-dependencies"].values(), *PROJECT["dependency-groups"].values()]
    asked = names(PROJECT["project"]["dependencies"] + [each for group in groups for each in group])
    assert asked - pins("constraints.txt").keys() == set()


def test_what_pyproject_pins_itself_is_pinned_to_the_same_version() -> None:
    itself = [
        Requirement(each) for each in PROJECT["build-system"]["requires"] + PROJECT["dependency-groups"]["reference"]
    ]
    assert {each.name: str(each.specifier) for each in itself} == {
        each.name: f"=={pins('constraints.txt')[each.name]}" for each in itself
    }
