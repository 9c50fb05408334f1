"""The contents of the image, and how it runs alone."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from app import __version__
from tests.support.server import REPOSITORY

from .conftest import USER
from .engine import commit, docker, inspect, run

MEGABYTE = 10**6
LOOPBACK = ("--env", "LIKENESS_PUBLISHED_ON=127.0.0.1")
ABSENT_COMMANDS = ["pip", "pip3", "wheel", "gcc", "cc", "g++", "clang", "ld", "make"]
ABSENT_PACKAGES = ["pip", "setuptools", "wheel", "ensurepip", "torch", "training", "pytest"]
ABSENT = f"""
import shutil, importlib.util as modules
print([name for name in {ABSENT_COMMANDS} if shutil.which(name)] +
      [name for name in {ABSENT_PACKAGES} if modules.find_spec(name)])
"""
UNCOMPILED = """
import app.cli, os, sys
compiled = {name: getattr(module, "__cached__", None) for name, module in sys.modules.items()}
print([name for name, path in compiled.items() if path and not os.path.exists(path)])
"""


def base_image() -> str:
    found = re.search(r"^ARG PYTHON_IMAGE=(\S+)$", (REPOSITORY / "docker/Dockerfile").read_text(), re.MULTILINE)
    assert found
    docker("run", "--rm", found[1], "true")  # fetches it where the builder kept its copy to itself
    return found[1]


def shell(image: str, script: str) -> str:
    return docker("run", "--rm", "--entrypoint", "sh", image, "-c", script)


def test_the_image_is_at_most_450_mb_larger_than_its_base(cpu_image: str) -> None:
    added = int(inspect(cpu_image, ".Size")) - int(inspect(base_image(), ".Size"))
    print(f"{added / MEGABYTE:.0f} MB")  # noqa: T201
    assert added <= 450 * MEGABYTE, f"{added / MEGABYTE:.0f} MB"


@pytest.mark.parametrize("python", ["python", "/usr/local/bin/python"])
def test_it_holds_no_installer_no_compiler_and_no_torch(cpu_image: str, python: str) -> None:
    assert docker("run", "--rm", "--entrypoint", python, cpu_image, "-c", ABSENT) == "[]"


def test_its_detector_is_compiled(cpu_image: str) -> None:
    assert "pyramid is compiled" in docker("run", "--rm", *LOOPBACK, cpu_image, "doctor")


def test_it_runs_as_a_user_without_rights_who_owns_only_the_data(cpu_image: str) -> None:
    assert shell(cpu_image, "id -u; stat -c '%u %a' /data; find /srv /opt -writable") == "10001\n10001 700"


def test_its_labels_say_what_it_is_and_of_which_commit(cpu_image: str) -> None:
    labels = json.loads(inspect(cpu_image, "json .Config.Labels"))
    named = {name.removeprefix("org.opencontainers.image."): value for name, value in labels.items()}
    assert named.pop("description")
    assert named == {
        "title": "Likeness",
        "licenses": "MIT",
        "version": __version__,
        "revision": commit(),
        "base.name": base_image(),
    }


def test_a_folder_of_the_host_that_belongs_to_root_stops_the_start(cpu_image: str, tmp_path: Path) -> None:
    refused = run(["docker", "run", "--rm", *LOOPBACK, "--volume", f"{tmp_path}:/data", cpu_image])
    assert refused.returncode == 2
    assert "/data" in refused.stderr
    os.chown(tmp_path, USER, USER)
    assert "FAIL" not in docker("run", "--rm", *LOOPBACK, "--volume", f"{tmp_path}:/data", cpu_image, "doctor")


@pytest.mark.parametrize("model", ["mobilefacenet-128", "mobilefacenet-128-int8", "sface-128"])
def test_its_models_are_whole_and_its_networks_run(cpu_image: str, model: str) -> None:
    chosen = ["--env", f"LIKENESS_MODEL={model}", "--env", "LIKENESS_LIVENESS=on"]
    said = docker("run", "--rm", "--read-only", *chosen, *LOOPBACK, cpu_image, "doctor")
    assert f"models: {model} " in said
    assert "with pad for liveness" in said
    assert "FAIL" not in said


def test_cut_off_from_every_network_it_serves_and_writes_nothing_but_the_gallery(start: Callable[..., str]) -> None:
    container = start("--network", "none", *LOOPBACK)
    written = docker("exec", container, "find", "/data", "/tmp", "-type", "f").split()  # noqa: S108
    assert {Path(path).name.partition("-")[0] for path in written} == {"gallery.sqlite3"}


def test_the_client_is_in_it_and_so_is_the_driver_of_postgresql(cpu_image: str) -> None:
    script = "import app.client, psycopg; print(psycopg.pq.__impl__)"
    assert docker("run", "--rm", "--entrypoint", "python", cpu_image, "-c", script) == "binary"


def test_what_it_imports_is_compiled_because_a_read_only_root_cannot_keep_it(cpu_image: str) -> None:
    assert docker("run", "--rm", "--entrypoint", "python", cpu_image, "-c", UNCOMPILED) == "[]"


def test_the_health_check_asks_the_port_that_is_set(start: Callable[..., str]) -> None:
    start(*LOOPBACK, "--env", "LIKENESS_PORT=9123")


def test_the_health_check_asks_no_proxy(start: Callable[..., str]) -> None:
    start(*LOOPBACK, "--env", "http_proxy=http://127.0.0.1:9", "--env", "HTTP_PROXY=http://127.0.0.1:9")


def test_asked_for_a_gpu_it_stops_and_never_serves_on_the_cpu(cpu_image: str) -> None:
    refused = run(["docker", "run", "--rm", *LOOPBACK, "--env", "LIKENESS_PROVIDER=cuda", cpu_image])
    assert refused.returncode == 2
    assert "provider 'cuda' was asked for" in refused.stderr
