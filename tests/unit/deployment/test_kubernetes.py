"""docker/kubernetes: every manifest is valid, and they agree with each other and with the service."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import kubernetes_validate
import pytest
import yaml  # type: ignore[import-untyped]

from app.settings import Settings

from .manifests import (
    KUBERNETES,
    REPOSITORY,
    Document,
    container,
    environment,
    kustomized,
    mounted,
    of_kind,
    read,
    setting_names,
)

OLDEST = "1.29"
DRAIN_SECONDS = 10
FIRST_KEY = of_kind("Job", "first-key")
OVERLAYS = ["cpu", "gpu", "scale"]
EVERY_FOLDER = ["cpu", "gpu", "scale", "first-key", "scale/first-key", "site", "site/first-key"]
UNKNOWN_TO_THE_SCHEMA = {"ServiceMonitor"}  # of the Prometheus operator
SITE_SERVER = of_kind("Deployment", "site")
WORKLOADS = [of_kind("Deployment", "cpu"), of_kind("Deployment", "gpu"), FIRST_KEY, SITE_SERVER]
SERVER = {"app.kubernetes.io/name": "likeness", "app.kubernetes.io/component": "server"}

every_overlay = pytest.mark.parametrize("overlay", OVERLAYS)
every_workload = pytest.mark.parametrize("workload", WORKLOADS, ids=["cpu", "gpu", "first-key", "site"])


DISTINCT = {
    json.dumps(manifest, sort_keys=True): pytest.param(manifest, id=f"{folder}-{manifest['kind']}")
    for folder in EVERY_FOLDER
    for manifest in kustomized(folder)
    if manifest["kind"] not in UNKNOWN_TO_THE_SCHEMA
}


@pytest.mark.parametrize("version", [OLDEST, kubernetes_validate.latest_version()])
@pytest.mark.parametrize("manifest", DISTINCT.values())
def test_a_manifest_follows_the_schema(manifest: Document, version: str) -> None:
    kubernetes_validate.validate(manifest, version, strict=True)


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl here")
@pytest.mark.parametrize("folder", EVERY_FOLDER)
def test_kubectl_makes_the_same_manifests(folder: str) -> None:
    command = ["kubectl", "kustomize", str(KUBERNETES / folder)]
    made = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert by_name(list(yaml.safe_load_all(made))) == by_name(kustomized(folder))


def by_name(manifests: list[Document]) -> dict[tuple[str, str], Document]:
    """The manifests without their own labels, which `kustomized` does not set."""
    unlabelled = [each | {"metadata": {**each["metadata"], "labels": None}} for each in manifests]
    return {(each["kind"], each["metadata"]["name"]): each for each in unlabelled}


@pytest.mark.parametrize("file", sorted(KUBERNETES.rglob("kustomization.yaml")), ids=lambda file: file.parent.name)
def test_a_kustomization_names_every_file_beside_it(file: Path) -> None:
    kustomization = read(file)
    patches = [patch["path"] for patch in kustomization.get("patches", [])]
    named = {name for name in kustomization.get("resources", []) + patches if not name.startswith("../")}
    assert named == {path.name for path in file.parent.glob("*.yaml")} - {file.name}


@every_workload
def test_it_runs_without_rights_on_a_root_that_it_cannot_write(workload: Document) -> None:
    pod, only = workload["spec"]["template"]["spec"], container(workload)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == pod["securityContext"]["fsGroup"] == 10001
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False  # no service of the cluster becomes a setting
    assert only["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


@every_workload
def test_it_keeps_its_data_in_the_claimed_volume(workload: Document) -> None:
    claim = of_kind("PersistentVolumeClaim")
    assert mounted(workload, "/data")["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]  # one node only
    assert "emptyDir" in mounted(workload, "/tmp")  # noqa: S108


@every_overlay
def test_what_it_is_told_are_settings(overlay: str) -> None:
    assert environment(of_kind("Deployment", overlay)).keys() - setting_names() == set()


@every_overlay
def test_it_is_ready_when_readyz_says_so_and_alive_when_healthz_does(overlay: str) -> None:
    only = container(of_kind("Deployment", overlay))
    asked = {probe: only[probe]["httpGet"]["path"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")}
    assert asked == {"startupProbe": "/readyz", "readinessProbe": "/readyz", "livenessProbe": "/healthz"}


@every_overlay
def test_it_is_given_time_to_drain(overlay: str) -> None:
    deployment = of_kind("Deployment", overlay)
    grace = deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert grace > float(environment(deployment)["LIKENESS_SHUTDOWN_DELAY"] or 0) + DRAIN_SECONDS


def test_service_selector_affinity_and_template_mean_the_same_pods() -> None:
    deployment = of_kind("Deployment")
    pod = deployment["spec"]["template"]
    (together,) = pod["spec"]["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert pod["metadata"]["labels"] == SERVER != FIRST_KEY["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == SERVER
    assert of_kind("Service")["spec"]["selector"] == SERVER
    assert together["labelSelector"]["matchLabels"] == SERVER
    assert together["topologyKey"] == "kubernetes.io/hostname"


def test_the_autoscaler_scales_the_deployment_which_names_no_number_itself() -> None:
    target = of_kind("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", of_kind("Deployment")["metadata"]["name"])
    assert "replicas" not in of_kind("Deployment")["spec"]


def test_on_gpus_each_replica_takes_one_and_their_number_is_set_by_hand() -> None:
    deployment = of_kind("Deployment", "gpu")
    assert container(deployment)["image"] == "likeness:gpu"
    assert container(deployment)["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert deployment["spec"]["replicas"] == 1
    assert "nvidia.com/gpu" not in container(of_kind("Deployment"))["resources"]["limits"]
    assert [manifest for manifest in kustomized("gpu") if manifest["kind"] == "HorizontalPodAutoscaler"] == []


def test_the_gpu_overlay_keeps_the_registry_that_a_site_names(tmp_path: Path) -> None:
    copied = tmp_path / "kubernetes"
    shutil.copytree(KUBERNETES, copied)
    site = copied / "site" / "kustomization.yaml"
    site.write_text(site.read_text().replace("../cpu", "../gpu"))
    images = [container(each)["image"] for each in kustomized(str(copied / "site")) if each["kind"] == "Deployment"]
    assert images == ["registry.example.com/likeness:gpu"]
    assert container(SITE_SERVER)["image"] == "registry.example.com/likeness:cpu"
    assert container(of_kind("Job", "site/first-key"))["image"] == "registry.example.com/likeness:cpu"


def test_replicas_over_postgresql_keep_nothing_of_their_own_and_go_to_any_node() -> None:
    deployment, job = of_kind("Deployment", "scale"), of_kind("Job", "scale/first-key")
    assert [each["kind"] for each in kustomized("scale") if each["kind"] == "PersistentVolumeClaim"] == []
    assert "affinity" not in deployment["spec"]["template"]["spec"]
    for workload in (deployment, job):
        assert mounted(workload, "/data").keys() == {"name", "emptyDir"}
        (address,) = (each for each in container(workload)["env"] if each["name"] == "LIKENESS_DATABASE")
        assert address["valueFrom"]["secretKeyRef"] == {"name": "likeness-database", "key": "address"}
    assert "create secret generic likeness-database --from-literal=address=" in (KUBERNETES / "README.md").read_text()


def test_three_replicas_or_more_run_and_two_keep_serving_while_nodes_are_drained() -> None:
    scaler, budget = (
        of_kind("HorizontalPodAutoscaler", "scale")["spec"],
        of_kind("PodDisruptionBudget", "scale")["spec"],
    )
    assert scaler["minReplicas"] == 3
    assert (budget["minAvailable"], budget.get("maxUnavailable")) == (2, None)


def test_replicas_may_reach_the_database() -> None:
    policies = {
        each["metadata"]["name"]: each["spec"] for each in kustomized("scale") if each["kind"] == "NetworkPolicy"
    }
    ports = {port["port"] for rule in policies["likeness-to-database"]["egress"] for port in rule["ports"]}
    assert ports == {5432, 53}
    selector = policies["likeness-to-database"]["podSelector"]["matchLabels"]
    assert selector.items() <= of_kind("Deployment", "scale")["spec"]["template"]["metadata"]["labels"].items()


def test_a_node_can_be_drained_with_a_single_replica() -> None:
    budget = of_kind("PodDisruptionBudget")["spec"]
    assert budget["selector"]["matchLabels"] == SERVER
    assert budget["maxUnavailable"] == 1


def test_the_ingress_sends_to_the_service_what_the_service_accepts() -> None:
    ingress, service = of_kind("Ingress", "site"), of_kind("Service")
    ((rule,), (tls,)) = ingress["spec"]["rules"], ingress["spec"]["tls"]
    (path,) = rule["http"]["paths"]
    annotations = {name.rpartition("/")[2]: value for name, value in ingress["metadata"]["annotations"].items()}
    fields = Settings.model_fields
    assert path["backend"]["service"]["name"] == service["metadata"]["name"]
    assert path["backend"]["service"]["port"]["name"] in {port["name"] for port in service["spec"]["ports"]}
    assert tls["hosts"] == [rule["host"]]
    assert int(annotations["proxy-body-size"].removesuffix("m")) * 2**20 == fields["max_body_bytes"].default
    assert int(annotations["proxy-read-timeout"]) > fields["deadline"].default + fields["upload_timeout"].default
    assert annotations["proxy-request-buffering"] == "off"


def test_behind_the_ingress_the_service_trusts_a_proxy_that_the_network_lets_in() -> None:
    policies = {each["metadata"]["name"]: each for each in kustomized("site") if each["kind"] == "NetworkPolicy"}
    assert "LIKENESS_TRUSTED_PROXIES" in environment(SITE_SERVER)
    assert policies["likeness-from-ingress"]["spec"]["podSelector"]["matchLabels"] == SERVER


def test_prometheus_scrapes_the_service_with_the_key_that_the_readme_puts_into_its_secret() -> None:
    monitor = of_kind("ServiceMonitor", "site")["spec"]
    (endpoint,) = monitor["endpoints"]
    credentials = endpoint["authorization"]["credentials"]
    labels = read(KUBERNETES / "cpu" / "kustomization.yaml")["labels"][0]["pairs"]
    readme = (KUBERNETES / "README.md").read_text()
    assert monitor["selector"]["matchLabels"] == labels
    assert endpoint["port"] in {port["name"] for port in of_kind("Service")["spec"]["ports"]}
    assert f"create secret generic {credentials['name']} --from-literal={credentials['key']}=" in readme
    assert "keys create --scopes metrics" in readme


def test_the_alerts_find_the_job_of_the_service_monitor() -> None:
    label = of_kind("ServiceMonitor", "site")["spec"]["jobLabel"]
    job = read(KUBERNETES / "cpu" / "kustomization.yaml")["labels"][0]["pairs"][label]
    alerts = (REPOSITORY / "docker" / "monitoring" / "alerts.yml").read_text()
    assert set(re.findall(r'job="(\w+)"', alerts)) == {job}


def test_the_encryption_key_is_a_file_of_a_secret() -> None:
    key = Path(environment(SITE_SERVER)["LIKENESS_ENCRYPTION_KEY_FILE"] or "")
    secret = mounted(SITE_SERVER, str(key.parent))["secret"]["secretName"]
    assert f"create secret generic {secret} --from-file={key.name}" in (KUBERNETES / "README.md").read_text()
