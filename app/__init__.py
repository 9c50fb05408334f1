"""Likeness: face verification and identification over HTTP."""

import os

__version__ = "0.1.0"

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
"""ONNX Runtime reports usage to its vendor unless this is set before its import; calling its own switch is too late."""
