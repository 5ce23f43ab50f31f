"""luthier as a user runs it: another process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def luthier(
    *words: str, cwd: Path | None = None, timeout: float = 240, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the command line and give what it printed and its exit code."""
    return subprocess.run(
        [sys.executable, "-m", "luthier", *words],
        cwd=cwd,
        env={**os.environ, "NO_COLOR": "1", **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
