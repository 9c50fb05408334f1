#!/usr/bin/env bash
# What an NVIDIA GPU makes of Likeness, in one command: installs into a virtual environment of its own, measures, prints the table.
#   tests/benchmarks/gpu.sh [--json FILE] [--seconds N] [--requests N]
# Wants Linux, Python 3.11 or later, an NVIDIA GPU with a driver for CUDA 13, and a package index. Exit status 0: all targets met,
# 1: one missed, 2: nothing was measured, and why.
set -euo pipefail
cd "$(dirname "$0")/../.."
VENV=${VENV:-.venv-gpu}

if ! command -v nvidia-smi >/dev/null; then
    echo "error: no NVIDIA GPU here: there is no nvidia-smi (in a container: was it started with --gpus all?)" >&2
    exit 2
fi
if ! nvidia-smi --list-gpus | grep -q '^GPU '; then
    echo "error: no NVIDIA GPU here: nvidia-smi lists none" >&2
    exit 2
fi

[ -x "$VENV/bin/python" ] || "${PYTHON:-python3}" -m venv "$VENV"
"$VENV/bin/python" -m pip --disable-pip-version-check install --quiet --constraint constraints.txt \
    --editable '.[gpu]'
exec "$VENV/bin/python" -m tests.benchmarks.gpu --provider cuda "$@"
