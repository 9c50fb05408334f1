"""The machine, versions and commit that a figure depends on; and the CPU time of a process."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pydantic import BaseModel

from tests.support.server import REPOSITORY

PACKAGES = (
    "onnxruntime", "numpy", "opencv-python-headless", "simplejpeg", "pillow", "faiss-cpu", "fastapi", "uvicorn",
    "torch", "facenet-pytorch",
)  # fmt: skip


FEATURES = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "asimd", "sve")
"""The features by which libraries choose their code."""
_VENDORS = {"GenuineIntel": "intel", "AuthenticAMD": "amd"}


class Machine(BaseModel, frozen=True):
    cpu: str
    family: str
    """The processor's vendor, family and model, such as `intel-6-207`. Ratios hold within one family."""
    features: str
    cores: int
    memory_gib: int
    system: str
    python: str
    packages: dict[str, str]
    gpu: str = ""
    load: float
    """Processes that ran or wanted to, on average over the minute before the run."""

    @property
    def busy(self) -> bool:
        """Other work makes ratios less exact, and figures about several cores useless."""
        return self.load > 0.5

    @property
    def summary(self) -> str:
        parts = [self.cpu, self.features, f"{self.cores} cores", f"{self.memory_gib} GiB", self.gpu, self.system]
        return f"{', '.join(filter(None, parts))}; load {self.load:g} before the run"

    @classmethod
    def this(cls, gpu: str = "") -> Machine:
        facts = _cpu_facts()
        flags = set((facts.get("flags") or facts.get("Features") or "").split())
        return cls(
            cpu=_cpu_model(facts),
            family=_cpu_family(facts),
            features=" ".join(name for name in FEATURES if name in flags),
            cores=len(os.sched_getaffinity(0)),
            memory_gib=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
            system=f"{platform.system()} {platform.release()}",
            python=platform.python_version(),
            packages={name: found for name in PACKAGES if (found := installed(name))},
            gpu=gpu,
            load=round(os.getloadavg()[0], 2),
        )


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds of a process and all its threads, to the nanosecond (clock_getcpuclockid(3))."""
    return time.clock_gettime((~pid << 3) | 2)


def installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def commit() -> str:
    """Short, with a `+` where the files differ from it; `unknown` outside of a checkout."""
    try:
        name = _git("rev-parse", "--short", "HEAD")
        return name + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _cpu_facts() -> dict[str, str]:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0].splitlines()
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _cpu_model(facts: dict[str, str]) -> str:
    """Return the name with family and model, because the name in a virtual machine may be vague."""
    if "model name" not in facts:  # not x86
        return platform.machine()
    return f"{facts['model name']} (family {facts.get('cpu family', '?')}, model {facts.get('model', '?')})"


def _cpu_family(facts: dict[str, str]) -> str:
    if "vendor_id" not in facts:  # not x86
        return platform.machine().lower()
    vendor = _VENDORS.get(facts["vendor_id"], facts["vendor_id"].lower())
    return f"{vendor}-{facts.get('cpu family', '?')}-{facts.get('model', '?')}"
