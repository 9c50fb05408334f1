"""The dashboard and the alerts use all metrics of the service, and no others."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from prometheus_client.parser import text_string_to_metric_families

from app.observability.gauges import GallerySize
from app.observability.metrics import Metrics

HERE = Path(__file__).parent
MONITORING = HERE.parents[2] / "docker" / "monitoring"
METRIC = re.compile(r"\b((?:likeness|process|python)_\w+)(?:\{([^}]*)\})?")
LABEL = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
BY = re.compile(r"\b(?:by|on)\s*\(([^)]*)\)")
PROMETHEUS_ADDS = {"job", "instance", "le"}


def metrics_of_every_event() -> Metrics:
    metrics = Metrics()
    metrics.on_photo(1)
    metrics.on_rejected("face_not_found")
    metrics.on_compared(0.5, match=True)
    metrics.on_batch(1)
    metrics.on_expired(1)
    metrics.observe_request("/verify", "POST", 200, 0.1)
    metrics.observe_stages({"decode": 1.0})
    metrics.problem("overloaded")
    metrics.watch_queue("photos", lambda: 0, 64)
    metrics.watch_galleries(lambda: [GallerySize("default", subjects=1, faces=1)])
    metrics.set_build_info(version="1", model="m", digest="sha256:1", provider="cpu", runtime="1")
    return metrics


@pytest.fixture(scope="module")
def exported() -> dict[str, set[str]]:
    """Return the labels of every series by its name."""
    families = text_string_to_metric_families(metrics_of_every_event().render().decode())
    return {sample.name: set(sample.labels) for family in families for sample in family.samples}


def family_of(name: str) -> str:
    return re.sub(r"_(bucket|count|sum)$", "", name)


def dashboard() -> Any:
    return json.loads((MONITORING / "grafana" / "dashboards" / "likeness.json").read_text())


def rules() -> list[Any]:
    groups = yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[Any]:
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def expressions() -> Iterator[str]:
    for panel in panels():
        yield from (target["expr"] for target in panel["targets"])
    yield from (note["expr"] for note in dashboard()["annotations"]["list"])
    yield from (rule["expr"] for rule in rules())


def test_metrics_and_labels_in_expressions_exist(exported: dict[str, set[str]]) -> None:
    for expression in set(expressions()):
        named = [(name, set(LABEL.findall(matchers))) for name, matchers in METRIC.findall(expression)]
        grouped = {label.strip() for labels in BY.findall(expression) for label in labels.split(",")}
        assert named, expression
        assert [name for name, _ in named if name not in exported] == []
        known = {name: exported[name] | PROMETHEUS_ADDS for name, _ in named}
        assert [(name, labels) for name, labels in named if not labels <= known[name]] == [], expression
        assert [name for name in known if not grouped <= known[name]] == [], expression


def test_every_metric_of_the_service_is_used(exported: dict[str, set[str]]) -> None:
    used = {family_of(name) for expression in expressions() for name, _ in METRIC.findall(expression)}
    ours = {family_of(name) for name in exported if name.startswith("likeness_")}
    assert ours
    assert ours - used == set()


def test_metrics_are_those_of_the_contract(exported: dict[str, set[str]]) -> None:
    ours = {name: labels for name, labels in exported.items() if name.startswith("likeness_")}
    assert {name: labels for name, labels in ours.items() if family_of(name) == name} == {
        "likeness_build_info": {"version", "model", "digest", "provider", "runtime"},
        "likeness_erasures_pending": set(),
        "likeness_faces_expired_total": set(),
        "likeness_gallery_faces": {"gallery"},
        "likeness_gallery_subjects": {"gallery"},
        "likeness_images_rejected_total": {"reason"},
        "likeness_problems_total": {"code"},
        "likeness_queue_depth": {"queue"},
        "likeness_queue_limit": {"queue"},
        "likeness_ready": set(),
        "likeness_replica_lag_seconds": set(),
        "likeness_requests_in_flight": set(),
        "likeness_requests_total": {"route", "method", "status"},
    }
    assert {name.removesuffix("_sum"): labels for name, labels in ours.items() if name.endswith("_sum")} == {
        "likeness_batch_faces": set(),
        "likeness_faces_found": set(),
        "likeness_request_seconds": {"route"},
        "likeness_stage_seconds": {"stage"},
        "likeness_verification_distance": {"match"},
    }


def test_panels_have_a_question_as_title_and_do_not_overlap() -> None:
    titles = [panel["title"] for panel in panels()]
    cells = [
        (place["x"] + column, place["y"] + line)
        for place in (panel["gridPos"] for panel in dashboard()["panels"])
        for column in range(place["w"])
        for line in range(place["h"])
    ]
    assert [title for title in titles if not title.endswith("?")] == []
    assert len(titles) == len(set(titles))
    assert len(cells) == len(set(cells))
    assert max(column for column, _ in cells) < 24
    assert all(panel["description"] for panel in panels())


def test_alerts_have_severity_summary_and_description() -> None:
    for rule in rules():
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["description"]


def test_prometheus_scrapes_the_services_of_the_compose_file_and_reads_the_alerts() -> None:
    config = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
    (job,) = config["scrape_configs"]
    (names,) = job["dns_sd_configs"]
    assert (job["job_name"], names["names"], names["port"]) == ("likeness", ["likeness", "likeness-cpu"], 8000)
    assert [(MONITORING / name).is_file() for name in config["rule_files"]] == [True]


def test_dashboard_uses_the_provisioned_data_source() -> None:
    provisioning = MONITORING / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())["datasources"]
    (variable,) = dashboard()["templating"]["list"]
    assert (source["type"], source["uid"]) == (variable["query"], variable["current"]["value"])
    assert source["url"] == "http://prometheus:9090"


@pytest.mark.skipif(not shutil.which("promtool"), reason="no promtool (Debian's package prometheus has it)")
@pytest.mark.parametrize(
    "check",
    [["check", "config", str(MONITORING / "prometheus.yml")], ["test", "rules", "alerts_test.yml"]],
    ids=lambda check: " ".join(check[:2]),
)
def test_promtool_accepts_the_configuration_and_the_alert_tests(check: list[str]) -> None:
    done = subprocess.run(["promtool", *check], cwd=HERE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
