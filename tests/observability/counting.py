"""`python -m tests.observability.counting`: counts as a worker does until its standard input ends; says its metrics."""

import sys
from pathlib import Path

from app.observability.gauges import GallerySize
from app.observability.metrics import Metrics


def main() -> None:
    metrics = Metrics(["unauthorized"])
    metrics.ready(lambda: True)
    metrics.watch_queue("photos", lambda: 3, 10)
    metrics.watch_galleries(lambda: [GallerySize("default", subjects=2, faces=5)])
    metrics.describe(version="1.0", model="m", digest="sha256:1", provider="cpu", runtime="1.31")
    metrics.problem("unauthorized")
    metrics.batch(4)
    metrics.publish()
    with metrics.in_flight():
        print("ready", flush=True)  # noqa: T201
        for line in sys.stdin:
            Path(line.strip()).write_bytes(metrics.render())
            print("rendered", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
