"""The software and hardware of a run: versions, devices, commit. No environment variables, which hold secrets."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil


def describe(*, seed: int) -> dict[str, Any]:
    """Facts for env.json; asks torch for accelerators only where torch is already loaded."""
    return {
        "luthier": _version("luthier"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {
            name: described["Version"]
            for described in (distribution.metadata for distribution in metadata.distributions())
            if (name := described["Name"])
        },
        "hardware": _hardware(),
        "commit": commit(Path.cwd()),
        "seed": seed,
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def commit(folder: Path) -> dict[str, Any] | None:
    """The commit that a folder is at and whether files differ from it; None outside of a git checkout."""
    git = shutil.which("git")
    if git is None:
        return None
    try:
        revision = _output(git, "-C", str(folder), "rev-parse", "HEAD")
        changed = bool(_output(git, "-C", str(folder), "status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return None
    return {"revision": revision, "changed": changed}


def _output(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)  # noqa: S603
    return done.stdout.strip()


def _hardware() -> dict[str, Any]:
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "accelerators": _accelerators(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _accelerators() -> list[dict[str, Any]]:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return []
    devices = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
    return [{"name": device.name, "memory_bytes": device.total_memory} for device in devices]


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "unknown"
