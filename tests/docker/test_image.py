"""The contents of the image, and how it runs alone."""

import re
from collections.abc import Callable

import pytest

from tests.support.server import REPOSITORY

from .engine import docker, inspect, run

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
    assert added <= 450 * MEGABYTE, f"{added / MEGABYTE:.0f} MB"


@pytest.mark.parametrize("python", ["python", "/usr/local/bin/python"])
def test_it_holds_no_installer_no_compiler_and_no_torch(cpu_image: str, python: str) -> None:
    assert docker("run", "--rm", "--entrypoint", python, cpu_image, "-c", ABSENT) == "[]"


def test_it_runs_as_a_user_without_rights_who_owns_only_the_data(cpu_image: str) -> None:
    assert shell(cpu_image, "id -u; stat -c '%u %a' /data; find /srv /opt -writable") == "10001\n10001 700"


def test_its_models_are_whole_and_its_networks_run(cpu_image: str) -> None:
    assert "FAIL" not in docker("run", "--rm", "--read-only", *LOOPBACK, cpu_image, "doctor")


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
