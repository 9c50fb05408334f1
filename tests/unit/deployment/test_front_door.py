"""The files that a newcomer and GitHub read first: short, valid, and of one version."""

import re
import tomllib
from pathlib import Path

import pytest

from app import __version__

from .manifests import REPOSITORY, read

FORMS = sorted((REPOSITORY / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))


def test_the_readme_is_read_in_five_minutes() -> None:
    assert len((REPOSITORY / "README.md").read_text().splitlines()) <= 130


def test_the_version_is_the_same_everywhere() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    newest = re.search(r"^## (\S+)", (REPOSITORY / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    assert {project["version"], read(REPOSITORY / "CITATION.cff")["version"], newest[1]} == {__version__}


def test_ci_runs_the_script_that_the_repository_has() -> None:
    (job,) = read(REPOSITORY / ".github" / "workflows" / "ci.yml")["jobs"].values()
    assert job["steps"][-1] == {"run": ".ci/run"}
    assert (REPOSITORY / ".ci" / "run").stat().st_mode & 0o111


@pytest.mark.parametrize("form", [form for form in FORMS if form.name != "config.yml"], ids=lambda form: form.stem)
def test_an_issue_form_asks_at_least_one_required_question(form: Path) -> None:
    document = read(form)
    assert {"name", "description", "body"} <= document.keys()
    assert any(part.get("validations", {}).get("required") for part in document["body"])


def test_commit_hooks_fetch_no_other_repository() -> None:
    hooks = read(REPOSITORY / ".pre-commit-config.yaml")["repos"]
    assert [each["repo"] for each in hooks] == ["local"]
    assert {hook["language"] for each in hooks for hook in each["hooks"]} == {"system"}


def test_every_target_of_the_makefile_says_what_it_does() -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    (targets,) = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert set(targets.split()) == set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
