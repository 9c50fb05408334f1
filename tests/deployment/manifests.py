"""The files that deploy Likeness, read; and the one operation of kustomize that they use."""

from pathlib import Path
from typing import Any

import yaml

from app.settings import Settings

Document = dict[str, Any]

REPOSITORY = Path(__file__).resolve().parents[2]
KUBERNETES = REPOSITORY / "docker" / "kubernetes"
OF_COMPOSE_ONLY = {
    "LIKENESS_PUBLISH",
    "LIKENESS_PUBLISH_PORT",
    "LIKENESS_MEMORY_LIMIT",
    "LIKENESS_METRICS_KEY_FILE",
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
    """What `kubectl apply -k docker/kubernetes/<overlay>` sends, but for labels."""
    kustomization = read(KUBERNETES / overlay / "kustomization.yaml")
    patches = [read(KUBERNETES / overlay / patch["path"]) for patch in kustomization.get("patches", [])]
    bases = [manifest for path in kustomization["resources"] for manifest in _resource(overlay, path)]
    patched = [_patched(base, patches) for base in bases]
    return [manifest for manifest in patched if manifest.get("$patch") != "delete"]


def of_kind(kind: str, overlay: str = "cpu") -> Document:
    (found,) = (manifest for manifest in kustomized(overlay) if manifest["kind"] == kind)
    return found


def container(workload: Document) -> Document:
    (only,) = workload["spec"]["template"]["spec"]["containers"]
    return dict(only)


def _resource(overlay: str, path: str) -> list[Document]:
    return kustomized(path.removeprefix("../")) if path.startswith("../") else [read(KUBERNETES / overlay / path)]


def _patched(base: Document, patches: list[Document]) -> Document:
    for patch in patches:
        if (patch["kind"], patch["metadata"]["name"]) == (base["kind"], base["metadata"]["name"]):
            base = merged(base, patch)
    return base


def merged(base: Any, patch: Any) -> Any:
    """A strategic merge: maps by key, lists of named things by name, anything else replaced."""
    if isinstance(base, dict) and isinstance(patch, dict):
        return base | {key: merged(base[key], value) if key in base else value for key, value in patch.items()}
    if isinstance(base, list) and isinstance(patch, list):
        changes = {change["name"]: change for change in patch}
        return [merged(item, changes[item["name"]]) if item["name"] in changes else item for item in base]
    return patch
