"""A worker process: counts some events, and writes its metrics to each file named on its standard input."""

import sys
from pathlib import Path

from app.observability.gauges import GallerySize
from app.observability.metrics import Metrics


def main() -> None:
    metrics = Metrics(["unauthorized"])
    metrics.watch_readiness(lambda: True)
    metrics.watch_queue("photos", lambda: 3, 10)
    metrics.watch_galleries(lambda: [GallerySize("default", subjects=2, faces=5)])
    metrics.set_build_info(version="1.0", model="m", digest="sha256:1", provider="cpu", runtime="1.31")
    metrics.problem("unauthorized")
    metrics.on_batch(4)
    metrics.publish()
    with metrics.in_flight():
        print("ready", flush=True)  # noqa: T201
        for line in sys.stdin:
            Path(line.strip()).write_bytes(metrics.render())
            print("rendered", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
