"""A live server keeps to its OpenAPI document in every check of schemathesis."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.api import Api, bearer
from tests.support.commands import new_keys
from tests.support.lengths import length, report
from tests.support.photos import COLLINS
from tests.support.server import REPOSITORY, Server

EXAMPLES = length(4, 120)
CASES = length(400, 2_000)
SEED = "1"
PHOTO_ROUTES = ("/verify", "/detect", "/identify", "/embed")


@dataclass(frozen=True, slots=True)
class Run:
    status: int
    output: Path
    report: dict[str, Any]

    def failures(self) -> list[str]:
        kinds = [(kind["title"], where) for kind in self.report["failures"] for where in kind["operations"]]
        return [f"{title}: {where}" for title, where in kinds] + [str(error) for error in self.report["errors"]]

    def accepted(self, operation: str) -> int:
        return sum(phase["accepted"] for phase in self.report["valid_rates"][operation].values())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("contract")
    (key,) = new_keys(folder / "data", ["--scopes", "admin,metrics", "--rate", "0"])
    liveness = {"LIKENESS_LIVENESS": "on", "LIKENESS_LIVENESS_THRESHOLD": "0"}  # every face is live enough
    settings = {"LIKENESS_MAX_FACES_PER_SUBJECT": "0", **liveness}
    with Server(folder / "data", **settings) as server, Api.of(server, **bearer(key)) as api:
        assert api.enroll("default", "collins", COLLINS).status_code == 201
        return schemathesis(server, folder, key)


def schemathesis(server: Server, folder: Path, key: str) -> Run:
    program = Path(sys.executable).with_name("schemathesis")
    authorised = ["--header", f"Authorization: Bearer {key}"]
    command = [str(program), "run", f"{server.url}/openapi.json", *authorised, *_options(folder)]
    output = folder / "schemathesis.txt"
    with output.open("wb") as written:
        environment = {**os.environ, "SCHEMATHESIS_HOOKS": "tests.proof.schema_hooks", "PYTHONPATH": str(REPOSITORY)}
        ended = subprocess.run(command, cwd=folder, env=environment, stdout=written, stderr=written, check=False)
    reports = list(folder.glob("json-*.json"))
    assert len(reports) == 1, output.read_text(errors="replace")[-3000:]
    return Run(ended.returncode, output, json.loads(reports[0].read_text()))


def _options(folder: Path) -> list[str]:
    """Return the options: one worker, so that no case deletes what another has just made; nothing is excluded."""
    choices = {"checks": "all", "workers": "1", "max-examples": str(EXAMPLES), "seed": SEED, "report": "json"}
    silent = {"generation-database": "none", "report-dir": str(folder), "request-timeout": "30"}
    named = [part for name, value in {**choices, **silent}.items() for part in (f"--{name}", value)]
    return [*named, "--continue-on-failure", "--no-color", "--no-shrink"]


@pytest.mark.timeout(3600)
def test_no_check_of_any_case_fails(run: Run) -> None:
    generated = run.report["test_cases"]["generated"]
    report(f"{generated} cases, seed {SEED}, {run.report['running_time']:.0f} s")
    assert run.failures() == [], f"read {run.output}"
    assert run.status == 0
    assert generated >= CASES


@pytest.mark.parametrize("route", PHOTO_ROUTES)
def test_photos_of_faces_reach_behind_the_validation(run: Run, route: str) -> None:
    assert run.accepted(f"POST {route}") > 0


def test_every_operation_was_tested(run: Run) -> None:
    assert run.report["operations"]["tested"] == run.report["operations"]["total"] > 15
    assert run.report["operations"]["errored"] == 0
