"""docker/kubernetes: every manifest is valid, and they agree with each other and with the service."""

import kubernetes_validate
import pytest

from .manifests import KUBERNETES, container, kustomized, of_kind, read, setting_names

OLDEST = "1.29"
DRAIN_SECONDS = 10
FIRST_KEY = read(KUBERNETES / "first-key.yaml")
OVERLAYS = ["cpu", "gpu"]
WORKLOADS = [of_kind("Deployment", "cpu"), of_kind("Deployment", "gpu"), FIRST_KEY]
SERVER = {"app.kubernetes.io/name": "likeness", "app.kubernetes.io/component": "server"}

every_overlay = pytest.mark.parametrize("overlay", OVERLAYS)
every_workload = pytest.mark.parametrize("workload", WORKLOADS, ids=["cpu", "gpu", "first-key"])


@pytest.mark.parametrize("version", [OLDEST, kubernetes_validate.latest_version()])
@pytest.mark.parametrize(
    "manifest",
    [
        pytest.param(manifest, id=f"{overlay}-{manifest['kind']}")
        for overlay in OVERLAYS
        for manifest in kustomized(overlay)
    ]
    + [pytest.param(FIRST_KEY, id="first-key")],
)
def test_a_manifest_follows_the_schema(manifest, version):
    kubernetes_validate.validate(manifest, version, strict=True)


@every_overlay
def test_a_kustomization_names_every_file_beside_it(overlay):
    kustomization = read(KUBERNETES / overlay / "kustomization.yaml")
    named = kustomization["resources"] + [patch["path"] for patch in kustomization.get("patches", [])]
    beside = {path.name for path in (KUBERNETES / overlay).glob("*.yaml")} - {"kustomization.yaml"}
    assert {name for name in named if not name.startswith("../")} == beside


@every_workload
def test_it_runs_without_rights_on_a_root_that_it_cannot_write(workload):
    pod, only = workload["spec"]["template"]["spec"], container(workload)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == pod["securityContext"]["fsGroup"] == 10001
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert only["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


@every_workload
def test_no_service_of_the_cluster_becomes_a_setting(workload):
    assert workload["spec"]["template"]["spec"]["enableServiceLinks"] is False


@every_workload
def test_it_keeps_its_data_in_the_claimed_volume(workload):
    volumes = {volume["name"]: volume for volume in workload["spec"]["template"]["spec"]["volumes"]}
    mounts = {mount["mountPath"]: mount["name"] for mount in container(workload)["volumeMounts"]}
    claimed = volumes[mounts["/data"]]["persistentVolumeClaim"]["claimName"]
    assert claimed == of_kind("PersistentVolumeClaim")["metadata"]["name"]
    assert "emptyDir" in volumes[mounts["/tmp"]]  # noqa: S108


@every_overlay
def test_what_it_is_told_are_settings(overlay):
    told = {variable["name"] for variable in container(of_kind("Deployment", overlay))["env"]}
    assert told - setting_names() == set()


@every_overlay
def test_it_is_ready_when_readyz_says_so_and_alive_when_healthz_does(overlay):
    only = container(of_kind("Deployment", overlay))
    asked = {probe: only[probe]["httpGet"]["path"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")}
    assert asked == {"startupProbe": "/readyz", "readinessProbe": "/readyz", "livenessProbe": "/healthz"}


@every_overlay
def test_it_is_given_time_to_drain(overlay):
    deployment = of_kind("Deployment", overlay)
    environment = {variable["name"]: variable.get("value") for variable in container(deployment)["env"]}
    grace = deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert grace > float(environment["LIKENESS_SHUTDOWN_DELAY"]) + DRAIN_SECONDS


def test_service_selector_affinity_and_template_mean_the_same_pods():
    deployment = of_kind("Deployment")
    pod = deployment["spec"]["template"]
    (together,) = pod["spec"]["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert pod["metadata"]["labels"] == SERVER
    assert deployment["spec"]["selector"]["matchLabels"] == SERVER
    assert of_kind("Service")["spec"]["selector"] == SERVER
    assert together["labelSelector"]["matchLabels"] == SERVER
    assert together["topologyKey"] == "kubernetes.io/hostname"


def test_the_job_that_makes_the_first_key_is_not_asked_as_a_server():
    assert FIRST_KEY["spec"]["template"]["metadata"]["labels"] != SERVER


def test_the_gallery_is_mounted_by_one_node_only():
    assert of_kind("PersistentVolumeClaim")["spec"]["accessModes"] == ["ReadWriteOnce"]


def test_the_autoscaler_scales_the_deployment_which_names_no_number_itself():
    target = of_kind("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", of_kind("Deployment")["metadata"]["name"])
    assert "replicas" not in of_kind("Deployment")["spec"]


def test_on_gpus_each_replica_takes_one_and_their_number_is_set_by_hand():
    deployment = of_kind("Deployment", "gpu")
    assert container(deployment)["image"] == "likeness:gpu"
    assert container(deployment)["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert deployment["spec"]["replicas"] == 1
    assert [manifest for manifest in kustomized("gpu") if manifest["kind"] == "HorizontalPodAutoscaler"] == []


def test_the_cpu_manifests_ask_for_no_gpu():
    assert "nvidia.com/gpu" not in container(of_kind("Deployment"))["resources"]["limits"]
