"""docker-compose.yml: what a plain `up` starts, what may reach it, and what it may do."""

import re
from ipaddress import ip_address, ip_network

import pytest

from .manifests import OF_COMPOSE_ONLY, REPOSITORY, Document, compose_file, read, services_with, setting_names

GPU, CPU = services_with("gpu")["likeness"], services_with("cpu")["likeness-cpu"]
SERVICES = compose_file()["services"]
ENCRYPTION, TLS = read(REPOSITORY / "docker/compose.encryption.yml"), read(REPOSITORY / "docker/compose.tls.yml")
FIXED = {
    "LIKENESS_HOST": "a container listens on every address of its own network; LIKENESS_PUBLISH is the host's",
    "LIKENESS_PORT": "8000 in the container; LIKENESS_PUBLISH_PORT is the host's",
    "LIKENESS_PUBLISHED_ON": "always LIKENESS_PUBLISH, so that the service knows who can reach it",
    "LIKENESS_PROVIDER": "the service of the profile gpu uses cuda, that of the profile cpu uses cpu",
    "LIKENESS_DATA_DIR": "/data, where the volume is",
    "LIKENESS_MODELS_DIR": "the image's own; other models need a mount, so a docker-compose.override.yml sets both",
}
PUBLISHED = "${LIKENESS_PUBLISH:-127.0.0.1}"
CONTAINERS = ["likeness", "likeness-cpu"]
both = pytest.mark.parametrize("service", [GPU, CPU], ids=["gpu", "cpu"])
every = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)


def test_it_holds_only_keys_that_docker_compose_1_29_and_compose_v2_both_know() -> None:
    assert {key for key in compose_file() if not key.startswith("x-")} == {"services", "volumes"}


def test_every_service_has_one_profile_so_that_none_starts_with_anothers() -> None:
    assert {name: service["profiles"] for name, service in SERVICES.items()} == {
        "likeness": ["gpu"],
        "likeness-cpu": ["cpu"],
        "likeness-a": ["scale"],
        "likeness-b": ["scale"],
        "postgres": ["scale"],
        "balancer": ["scale"],
        "prometheus": ["monitoring"],
        "grafana": ["monitoring"],
    }


def test_a_plain_up_means_the_gpu() -> None:
    lines = (REPOSITORY / ".env").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == ["COMPOSE_PROFILES=gpu"]


def test_the_gpu_service_reserves_a_gpu_and_asks_for_cuda_by_name() -> None:
    (device,) = GPU["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
    assert GPU["environment"]["LIKENESS_PROVIDER"] == "cuda"
    assert CPU["environment"]["LIKENESS_PROVIDER"] == "cpu"
    assert "deploy" not in CPU


def test_but_for_the_device_they_are_one_service() -> None:
    different = {"profiles", "image", "build", "environment", "deploy"}
    assert {key: GPU[key] for key in GPU.keys() - different} == {key: CPU[key] for key in CPU.keys() - different}


@both
def test_it_is_on_loopback_by_default_keeps_its_gallery_and_has_time_to_drain(service: Document) -> None:
    assert service["ports"] == [f"{PUBLISHED}:${{LIKENESS_PUBLISH_PORT:-8000}}:8000"]
    assert service["environment"]["LIKENESS_PUBLISHED_ON"] == PUBLISHED
    assert service["volumes"] == ["likeness:/data"]
    assert "likeness" in compose_file()["volumes"]
    assert int(service["stop_grace_period"].removesuffix("s")) > 10


@every
def test_no_port_is_published_elsewhere_by_default(service: Document) -> None:
    assert [port for port in service.get("ports", []) if not port.startswith((PUBLISHED, "127.0.0.1"))] == []


@every
def test_it_has_no_rights_and_cannot_write_its_root(service: Document) -> None:
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["tmpfs"] == ["/tmp"]  # noqa: S108
    assert service["restart"] == "unless-stopped"


@every
def test_its_memory_processes_and_log_are_limited_and_the_files_that_it_mounts_are_there(service: Document) -> None:
    assert service["mem_limit"]
    assert 64 <= service["pids_limit"] <= 1024
    assert service["logging"] == {"driver": "json-file", "options": {"max-size": "10m", "max-file": "5"}}
    assert missing_mounts(service) == []


def missing_mounts(service: Document) -> list[str]:
    mounted = [volume.split(":")[0] for volume in service["volumes"] if volume.startswith("./")]
    return [path for path in mounted if not (REPOSITORY / path).exists()]


@both
def test_every_setting_is_passed_on_but_for_those_that_are_fixed(service: Document) -> None:
    print("\n".join(f"{name} is fixed: {reason}" for name, reason in FIXED.items()))  # noqa: T201
    passed_on = {name for name, value in service["environment"].items() if value is None}
    assert passed_on == setting_names() - FIXED.keys()
    assert service["environment"].keys() - setting_names() == set()


@pytest.mark.parametrize("name", CONTAINERS)
def test_the_encryption_key_is_a_secret_where_its_file_is_given(name: str) -> None:
    service = ENCRYPTION["services"][name]
    (secret,) = service["secrets"]
    assert service["environment"]["LIKENESS_ENCRYPTION_KEY_FILE"] == f"/run/secrets/{secret}"
    assert ENCRYPTION["secrets"][secret]["file"].startswith("${LIKENESS_ENCRYPTION_KEY_FILE:?")


@pytest.mark.parametrize("name", CONTAINERS)
def test_the_data_keys_have_a_volume_of_their_own_that_the_user_of_the_image_owns(name: str) -> None:
    service = ENCRYPTION["services"][name]
    (volume,) = service["volumes"]
    folder = service["environment"]["LIKENESS_DATA_KEYS_DIR"]
    assert volume == f"likeness-keys:{folder}"
    assert "likeness-keys" in ENCRYPTION["volumes"]
    assert re.search(
        rf"install -d -o likeness .*{folder}$", (REPOSITORY / "docker/Dockerfile").read_text(), re.MULTILINE
    )


@pytest.mark.parametrize("name", CONTAINERS)
def test_behind_tls_the_service_trusts_the_proxy_alone_and_knows_where_it_is_published(name: str) -> None:
    service, proxy = TLS["services"][name], TLS["services"]["tls"]
    (port,) = proxy["ports"]
    assert service["environment"] == {
        "LIKENESS_PUBLISHED_ON": port.removesuffix(":${LIKENESS_TLS_PORT:-443}:443"),
        "LIKENESS_TRUSTED_PROXIES": proxy["networks"]["default"]["ipv4_address"],
    }


def test_no_other_container_is_given_the_address_of_the_proxy() -> None:
    (configuration,) = TLS["networks"]["default"]["ipam"]["config"]
    proxy = ip_address(TLS["services"]["tls"]["networks"]["default"]["ipv4_address"])
    assert proxy in ip_network(configuration["subnet"])
    assert proxy not in ip_network(configuration["ip_range"])


def test_the_proxy_finds_the_service_by_the_name_that_it_has_there() -> None:
    configuration = (REPOSITORY / "docker/tls/nginx.conf").read_text()
    aliases = {alias for name in CONTAINERS for alias in TLS["services"][name]["networks"]["default"]["aliases"]}
    assert set(re.findall(r"default (\S+):8000;", configuration)) == aliases


def test_the_proxy_has_no_rights_and_the_files_that_it_mounts_are_there() -> None:
    proxy = TLS["services"]["tls"]
    assert (proxy["user"], proxy["read_only"], proxy["cap_drop"]) == ("101", True, ["ALL"])
    assert proxy["security_opt"] == ["no-new-privileges:true"]
    assert missing_mounts(proxy) == []


@pytest.mark.parametrize("name", ["likeness-a", "likeness-b"])
def test_a_replica_keeps_nothing_of_its_own_and_is_reached_through_the_balancer_alone(name: str) -> None:
    replica, database, balancer = SERVICES[name], SERVICES["postgres"], SERVICES["balancer"]
    settings = replica["environment"]
    assert replica["volumes"] == replica["ports"] == []
    assert settings["LIKENESS_DATABASE"] == "postgresql://likeness@postgres/likeness"
    assert settings["PGPASSWORD"] == database["environment"]["PGPASSWORD"] == "${LIKENESS_POSTGRES_PASSWORD:-}"
    assert settings.keys() - {"PGPASSWORD"} == CPU["environment"].keys()
    assert "ports" not in database
    assert balancer["ports"] == CPU["ports"]
    assert f"server {name}:8000 " in (REPOSITORY / "docker/scale/nginx.conf").read_text()


def test_the_database_keeps_its_files_where_its_image_puts_them() -> None:
    (volume,) = SERVICES["postgres"]["volumes"]
    script = (REPOSITORY / "docker/scale/postgres.sh").read_text()
    assert f"DATA={volume.partition(':')[2]}\n" in script
    assert volume.partition(":")[0] in compose_file()["volumes"]


def test_prometheus_sends_the_key_of_the_one_file_that_is_given() -> None:
    (job,) = read(REPOSITORY / "docker/monitoring/prometheus.yml")["scrape_configs"]
    mounts = [volume.rsplit(":", 2)[1:] for volume in SERVICES["prometheus"]["volumes"] if "METRICS_KEY" in volume]
    assert mounts == [[job["authorization"]["credentials_file"], "ro"]]


def test_what_it_asks_of_the_shell_are_settings_or_its_own() -> None:
    asked = set(re.findall(r"\$\{(LIKENESS_\w+)", (REPOSITORY / "docker-compose.yml").read_text()))
    assert asked == OF_COMPOSE_ONLY
    assert OF_COMPOSE_ONLY.isdisjoint(setting_names())


@pytest.mark.parametrize(
    "service", [SERVICES["prometheus"], SERVICES["grafana"], SERVICES["balancer"], TLS["services"]["tls"]]
)
def test_the_images_of_others_are_pinned_by_version_and_digest(service: Document) -> None:
    assert re.fullmatch(r"[\w/]+:v?\d+\.\d+\.\d+(-\w+)?@sha256:[0-9a-f]{64}", service["image"])
