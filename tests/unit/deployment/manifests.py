"""The files that deploy Likeness, read; and the few operations of kustomize that they use."""

import copy
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from app.settings import Settings

Document = dict[str, Any]

REPOSITORY = Path(__file__).resolve().parents[3]
KUBERNETES = REPOSITORY / "docker" / "kubernetes"
OF_COMPOSE_ONLY = {
    "LIKENESS_PUBLISH",
    "LIKENESS_PUBLISH_PORT",
    "LIKENESS_MEMORY_LIMIT",
    "LIKENESS_METRICS_KEY_FILE",
    "LIKENESS_POSTGRES_PASSWORD",
    "LIKENESS_EXTRAS",
    "LIKENESS_REVISION",
}


def read(path: Path) -> Document:
    document: Document = yaml.safe_load(path.read_text())
    return document


def setting_names() -> set[str]:
    return {f"LIKENESS_{field.upper()}" for field in Settings.model_fields}


def compose_file() -> Document:
    return read(REPOSITORY / "docker-compose.yml")


def services_with(profile: str) -> dict[str, Document]:
    return {name: service for name, service in compose_file()["services"].items() if profile in service["profiles"]}


def kustomized(overlay: str) -> list[Document]:
    """Return what `kubectl apply -k docker/kubernetes/<overlay>` sends, but for labels."""
    manifests = _applied(KUBERNETES / overlay, [])
    return [manifest for manifest in manifests if manifest.get("$patch") != "delete"]


def of_kind(kind: str, overlay: str = "cpu") -> Document:
    (found,) = (manifest for manifest in kustomized(overlay) if manifest["kind"] == kind)
    return found


def container(workload: Document) -> Document:
    (only,) = workload["spec"]["template"]["spec"]["containers"]
    return dict(only)


def environment(workload: Document) -> dict[str, str | None]:
    return {variable["name"]: variable.get("value") for variable in container(workload)["env"]}


def mounted(workload: Document, path: str) -> Document:
    """Return the volume that the container has at this path."""
    (name,) = (mount["name"] for mount in container(workload)["volumeMounts"] if mount["mountPath"] == path)
    (volume,) = (each for each in workload["spec"]["template"]["spec"]["volumes"] if each["name"] == name)
    return dict(volume)


def _applied(folder: Path, given: list[Document]) -> list[Document]:
    """The manifests `given` and those of the folder, changed by its kustomization in kustomize's order."""
    kustomization = read(folder / "kustomization.yaml")
    manifests = given + [each for path in kustomization.get("resources", []) for each in _resource(folder / path)]
    for component in kustomization.get("components", []):
        manifests = _applied(folder / component, manifests)
    patches = [read(folder / patch["path"]) for patch in kustomization.get("patches", [])]
    return [_with_images(_patched(base, patches), kustomization.get("images", [])) for base in manifests]


def _resource(path: Path) -> list[Document]:
    return _applied(path, []) if path.is_dir() else [read(path)]


def _patched(base: Document, patches: list[Document]) -> Document:
    for patch in patches:
        if (patch["kind"], patch["metadata"]["name"]) == (base["kind"], base["metadata"]["name"]):
            base = merged(base, patch)
    return base


def _with_images(manifest: Document, images: list[Document]) -> Document:
    """The manifest, whose container runs the image of this name under its new name and with the same tag."""
    if "template" not in manifest.get("spec", {}):
        return manifest
    changed = copy.deepcopy(manifest)
    for container_of in changed["spec"]["template"]["spec"]["containers"]:
        name, _, tag = container_of["image"].rpartition(":")
        for image in images:
            if image["name"] == name:
                container_of["image"] = f"{image['newName']}:{tag}"
    return changed


def merged(base: Any, patch: Any) -> Any:
    """A strategic merge: maps by key, where null removes one, lists by `mountPath` or `name`; new items come first."""
    if isinstance(base, dict) and isinstance(patch, dict):
        changed = base | {key: merged(base[key], value) if key in base else value for key, value in patch.items()}
        return {key: value for key, value in changed.items() if value is not None}
    if isinstance(base, list) and isinstance(patch, list):
        key = "mountPath" if "mountPath" in base[0] else "name"
        changes = {change[key]: change for change in patch}
        new = [change for name, change in changes.items() if name not in {item[key] for item in base}]
        return new + [merged(item, changes.get(item[key], {})) for item in base]
    return patch
