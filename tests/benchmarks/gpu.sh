#!/usr/bin/env bash
# What an NVIDIA GPU makes of Likeness, in one command: installs into a virtual environment of its own, measures, prints the table.
#   tests/benchmarks/gpu.sh [--provider cuda|tensorrt|cpu] [--json FILE] [--seconds N] [--requests N]
# Wants Linux, Python 3.11 or later, a package index and, but with --provider cpu, an NVIDIA GPU with a driver for CUDA 13.
# --provider cpu is a rehearsal: the same measurements with the packages for CPUs, so that nothing but the GPU is new later.
# Exit status 0: all targets met, 1: one missed, 2: nothing was measured, and why.
set -euo pipefail
cd "$(dirname "$0")/../.."

extra=gpu
case " $* " in *" --provider cpu "* | *" --provider=cpu "*) extra=cpu ;; esac
VENV=${VENV:-.venv-$extra}

if [ "$extra" = gpu ]; then
    if ! command -v nvidia-smi >/dev/null; then
        echo "error: no NVIDIA GPU here: there is no nvidia-smi (in a container: was it started with --gpus all?)" >&2
        exit 2
    fi
    if ! nvidia-smi --list-gpus | grep -q '^GPU '; then
        echo "error: no NVIDIA GPU here: nvidia-smi lists none" >&2
        exit 2
    fi
fi

[ -x "$VENV/bin/python" ] || "${PYTHON:-python3}" -m venv "$VENV"
"$VENV/bin/python" -m pip --disable-pip-version-check install --quiet --constraint constraints.txt --editable ".[$extra]"
exec "$VENV/bin/python" -m tests.benchmarks.gpu "$@"
