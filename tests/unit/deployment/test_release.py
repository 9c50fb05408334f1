"""The release workflow: a tag is tested first, nothing but GitHub's own token is used, and no registry is named."""

import re
import subprocess
from typing import Any

import pytest

from app import __version__

from .manifests import REPOSITORY, Document, read

WORKFLOWS = REPOSITORY / ".github" / "workflows"
TEXT = (WORKFLOWS / "release.yml").read_text()
RELEASE: dict[Any, Any] = read(WORKFLOWS / "release.yml")
JOBS: dict[str, Document] = RELEASE["jobs"]
SCRIPTS = sorted(path for path in (REPOSITORY / ".ci").iterdir())


def needed(job: str) -> set[str]:
    """Return the jobs without which this one does not start."""
    direct = JOBS[job].get("needs", [])
    names = {direct} if isinstance(direct, str) else set(direct)
    return names.union(*map(needed, names))


def step(job: str, action: str) -> Document:
    (found,) = (each for each in JOBS[job]["steps"] if each.get("uses", "").startswith(f"{action}@"))
    return dict(found)


def actions(document: Document) -> set[str]:
    return {each["uses"] for job in document["jobs"].values() for each in job["steps"] if "uses" in each}


def test_only_a_tag_of_a_version_starts_it() -> None:
    assert RELEASE[True] == {"push": {"tags": ["v*"]}}  # YAML 1.1 reads `on` as true


def test_nothing_is_built_before_all_tests_have_passed_and_nothing_released_before_all_is_built() -> None:
    assert JOBS["ci"]["steps"][-1] == {"run": ".ci/run"}
    assert {name: needed(name) for name in JOBS} == {
        "ci": set(),
        "packages": {"ci"},
        "image": {"ci"},
        "release": {"ci", "packages", "image"},
    }


def test_each_job_may_write_only_what_it_makes_and_no_secret_is_asked_for() -> None:
    assert RELEASE["permissions"] == {"contents": "read"}
    assert {name: job["permissions"] for name, job in JOBS.items() if "permissions" in job} == {
        "image": {"contents": "read", "packages": "write"},
        "release": {"contents": "write", "packages": "write"},
    }
    assert "secrets." not in TEXT
    assert all(job["timeout-minutes"] <= 90 for job in JOBS.values())


def test_the_registry_is_a_setting_of_the_repository() -> None:
    for job in ("image", "release"):
        assert step(job, "docker/login-action")["with"]["registry"] == "${{ vars.IMAGE_REGISTRY }}"
    assert set(re.findall(r"vars\.(\w+)", TEXT)) == {"IMAGE_REGISTRY"}


def test_the_image_of_each_processor_is_built_on_one_with_an_sbom_and_the_arguments_that_the_dockerfile_has() -> None:
    build = step("image", "docker/build-push-action")["with"]
    dockerfile = (REPOSITORY / build["file"]).read_text()
    arguments = dict(line.split("=", 1) for line in build["build-args"].split("\n") if line)
    machines = {each["processor"]: each["runner"] for each in JOBS["image"]["strategy"]["matrix"]["include"]}
    assert machines == {"amd64": "ubuntu-24.04", "arm64": "ubuntu-24.04-arm"}
    assert build["platforms"] == "linux/${{ matrix.processor }}"
    assert all(f"$image-{processor}" in TEXT for processor in machines)
    assert build["sbom"] is True
    assert f" AS {build['target']}\n" in dockerfile
    assert arguments.keys() <= set(re.findall(r"^ARG (\w+)", dockerfile, re.MULTILINE))


def test_actions_have_the_versions_of_the_other_workflow() -> None:
    mine = dict(each.split("@") for each in actions(RELEASE))
    others = dict(each.split("@") for each in actions(read(WORKFLOWS / "ci.yml")))
    assert {name: mine[name] for name in others} == others


def test_the_checksums_that_are_checked_are_those_that_the_script_writes() -> None:
    script = (REPOSITORY / ".ci" / "release").read_text()
    assert '.ci/release "$GITHUB_REF_NAME"' in TEXT
    assert "sha256sum --check SHA256SUMS" in TEXT
    assert "> SHA256SUMS" in script


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_can_be_run_and_has_no_mistake_of_syntax(script: Any) -> None:
    assert script.stat().st_mode & 0o111
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0


def test_a_tag_of_another_version_is_refused_before_anything_is_made() -> None:
    refused = subprocess.run([str(REPOSITORY / ".ci/release"), "v9.9.9"], capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert refused.stderr == f"error: expected the tag v{__version__}, the version of pyproject.toml, got v9.9.9\n"
