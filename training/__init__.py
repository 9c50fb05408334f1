"""Trains the embedding network in PyTorch and exports it for `app`, which never imports this package."""

import app  # noqa: F401 - it switches the telemetry of ONNX Runtime off, before any module here imports that
