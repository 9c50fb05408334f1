"""docker-compose.yml: what a plain `up` starts, what may reach it, and what it may do."""

import re

import pytest

from .manifests import OF_COMPOSE_ONLY, REPOSITORY, compose_file, services_with, setting_names

GPU, CPU = services_with("gpu")["likeness"], services_with("cpu")["likeness-cpu"]
SERVICES = compose_file()["services"]
PUBLISHED = "${LIKENESS_PUBLISH:-127.0.0.1}"
both = pytest.mark.parametrize("service", [GPU, CPU], ids=["gpu", "cpu"])
every = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)


def test_it_holds_only_keys_that_docker_compose_1_29_and_compose_v2_both_know():
    assert {key for key in compose_file() if not key.startswith("x-")} == {"services", "volumes"}


def test_every_service_has_one_profile_so_that_none_starts_with_anothers():
    assert {name: service["profiles"] for name, service in SERVICES.items()} == {
        "likeness": ["gpu"],
        "likeness-cpu": ["cpu"],
        "prometheus": ["monitoring"],
        "grafana": ["monitoring"],
    }


def test_a_plain_up_means_the_gpu():
    lines = (REPOSITORY / ".env").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == ["COMPOSE_PROFILES=gpu"]


def test_the_gpu_service_reserves_a_gpu_and_asks_for_cuda_by_name():
    (device,) = GPU["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
    assert GPU["environment"]["LIKENESS_PROVIDER"] == "cuda"


def test_the_cpu_service_reserves_nothing():
    assert "deploy" not in CPU
    assert CPU["environment"]["LIKENESS_PROVIDER"] == "cpu"


def test_but_for_the_device_they_are_one_service():
    different = {"profiles", "image", "build", "environment", "deploy"}
    assert {key: GPU[key] for key in GPU.keys() - different} == {key: CPU[key] for key in CPU.keys() - different}


@both
def test_it_is_published_on_loopback_by_default_and_knows_where(service):
    assert service["ports"] == [f"{PUBLISHED}:${{LIKENESS_PUBLISH_PORT:-8000}}:8000"]
    assert service["environment"]["LIKENESS_PUBLISHED_ON"] == PUBLISHED


@every
def test_no_port_is_published_elsewhere_by_default(service):
    assert [port for port in service.get("ports", []) if not port.startswith((PUBLISHED, "127.0.0.1"))] == []


@every
def test_it_has_no_rights_and_cannot_write_its_root(service):
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["tmpfs"] == ["/tmp"]  # noqa: S108
    assert service["restart"] == "unless-stopped"


@both
def test_its_gallery_is_in_a_named_volume(service):
    assert service["volumes"] == ["likeness:/data"]
    assert "likeness" in compose_file()["volumes"]


@both
def test_it_is_given_time_to_drain(service):
    assert int(service["stop_grace_period"].removesuffix("s")) > 10


@both
def test_what_it_is_told_are_settings(service):
    assert service["environment"].keys() - setting_names() == set()


def test_what_it_asks_of_the_shell_are_settings_or_its_own():
    asked = set(re.findall(r"\$\{(LIKENESS_\w+)", (REPOSITORY / "docker-compose.yml").read_text()))
    assert asked == OF_COMPOSE_ONLY
    assert OF_COMPOSE_ONLY.isdisjoint(setting_names())


@pytest.mark.parametrize("name", ["prometheus", "grafana"])
def test_the_images_of_others_are_pinned(name):
    assert re.fullmatch(r"[\w/]+:v?\d+\.\d+\.\d+", SERVICES[name]["image"])


@every
def test_the_files_that_it_mounts_are_there(service):
    mounted = [volume.split(":")[0] for volume in service["volumes"] if volume.startswith("./")]
    assert [path for path in mounted if not (REPOSITORY / path).exists()] == []
