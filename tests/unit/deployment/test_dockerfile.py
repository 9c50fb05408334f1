"""docker/Dockerfile: what can be said of it without building it. tests/docker builds it."""

import re

import pytest

from app import __version__

from .manifests import REPOSITORY, compose_file, setting_names

DOCKERFILE = (REPOSITORY / "docker" / "Dockerfile").read_text()
SENT = (REPOSITORY / ".dockerignore").read_text().splitlines()


def test_it_has_the_targets_that_compose_builds() -> None:
    services = compose_file()["services"].values()
    targets = {service["build"]["target"] for service in services if "build" in service}
    assert targets == {"cpu", "gpu", "database"}
    assert targets <= set(re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE, re.MULTILINE))


def test_every_stage_comes_from_the_one_base_image() -> None:
    assert len(re.findall(r"^ARG PYTHON_IMAGE=python:3\.\d+-slim-\w+$", DOCKERFILE, re.MULTILINE)) == 1
    stages = re.findall(r"^FROM (\S+) AS (\S+)$", DOCKERFILE, re.MULTILINE)
    assert {source for source, _ in stages} - {name for _, name in stages} == {"${PYTHON_IMAGE}"}


def test_what_it_sets_are_settings() -> None:
    assert set(re.findall(r"LIKENESS_[A-Z_]+(?==)", DOCKERFILE)) - setting_names() == set()


@pytest.mark.parametrize("target", ["cpu", "gpu"])
def test_each_target_ends_without_rights_and_is_labelled_with_version_and_commit(target: str) -> None:
    stage = DOCKERFILE.split(f"FROM runtime AS {target}\n")[1].split("\nFROM ")[0]
    arguments = dict(re.findall(r"^ARG (\w+)=(\S+)$", stage, re.MULTILINE))
    labels = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]+)"', stage))
    assert re.findall(r"^USER (\S+)$", stage, re.MULTILINE) == ["likeness"]
    assert arguments == {"VERSION": __version__, "REVISION": "unknown"}
    assert labels == {"version": "${VERSION}", "revision": "${REVISION}"}


def test_the_labels_of_both_targets_name_what_it_is_and_its_license() -> None:
    labels = dict(re.findall(r'org\.opencontainers\.image\.([\w.]+)="([^"]+)"', DOCKERFILE))
    assert labels["title"] == "Likeness"
    assert labels["licenses"] == "MIT"
    assert labels["base.name"] == "${PYTHON_IMAGE}"
    assert labels["description"]


def test_only_what_it_copies_is_sent_to_the_builder() -> None:
    copied = " ".join(re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE)).split()
    assert SENT[0] == "*"
    assert {line.removeprefix("!") for line in SENT if line.startswith("!")} == set(copied)
    assert [path for path in copied if not (REPOSITORY / path).exists()] == []
