"""Trains the embedding network in PyTorch and exports it for `app`, which never imports this package."""

import app  # noqa: F401  # switches ONNX Runtime's telemetry off before anything here imports it
