"""The GPU image on a machine without a GPU: all but the driver is in it, and it never serves on the CPU."""

import pytest

from .engine import docker, run
from .test_image import ABSENT, LOOPBACK

CUDA_LIBRARIES = """
cd /opt/likeness/lib/python3*/site-packages
ldd onnxruntime/capi/libonnxruntime_providers_cuda.so nvidia/*/lib/*.so.* | awk '/not found/ {print $1}' | sort -u
"""


@pytest.fixture
def no_gpu() -> None:
    if "nvidia" in docker("info", "--format", "{{json .Runtimes}}"):
        pytest.skip("this host has the NVIDIA runtime")


def test_it_stops_with_a_reason_and_never_serves_on_the_cpu(gpu_image: str) -> None:
    without = ["--env", "NVIDIA_VISIBLE_DEVICES=void"]
    refused = run(["docker", "run", "--rm", "--read-only", *without, *LOOPBACK, gpu_image])
    assert refused.returncode == 2
    assert "provider 'cuda' was asked for" in refused.stderr


def test_only_the_drivers_own_library_is_left_to_the_host(gpu_image: str) -> None:
    assert docker("run", "--rm", "--entrypoint", "sh", gpu_image, "-c", CUDA_LIBRARIES) == "libcuda.so.1"


def test_it_holds_no_installer_no_compiler_and_no_torch(gpu_image: str) -> None:
    assert docker("run", "--rm", "--entrypoint", "python", gpu_image, "-c", ABSENT) == "[]"


@pytest.mark.usefixtures("gpu_image", "no_gpu")
def test_compose_without_a_profile_refuses_to_start_it(compose: tuple[str, ...]) -> None:
    name = ["--project-name", "likeness-test-gpu"]
    refused = run([*compose, *name, "up", "--detach", "--no-build"], LIKENESS_PUBLISH_PORT="0")
    run([*compose, *name, "down", "--volumes"])
    assert refused.returncode != 0
    assert 'could not select device driver "nvidia"' in refused.stderr + refused.stdout
