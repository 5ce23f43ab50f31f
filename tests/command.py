"""luthier as a user runs it: another process, forked from one that has imported what takes seconds."""

from __future__ import annotations

import atexit
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.warm import AT_FIRST, ROOT, WARM, warm_up

READ_WHILE_IMPORTED = ("HF_", "HUGGINGFACE_", "TRANSFORMERS_", "DATASETS_", "TORCH", "PYTORCH_", "HOME", "XDG_")
"""Variables that libraries read once; with one of them changed the process is a fresh one."""


def luthier(
    *words: str, cwd: Path | None = None, timeout: float = 240, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the command line and give what it printed and its exit code."""
    environ = {**os.environ, "NO_COLOR": "1", **environment}
    command = [sys.executable, "-m", "luthier", *words]
    changed = {name for name in environ.keys() | AT_FIRST.keys() if environ.get(name) != AT_FIRST.get(name)}
    if not any(name.startswith(READ_WHILE_IMPORTED) for name in changed):
        return _forked(command, Path(cwd or Path.cwd()), environ, timeout)
    return subprocess.run(
        command, cwd=cwd, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout
    )


def _forked(
    command: list[str], cwd: Path, environ: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    with tempfile.TemporaryDirectory() as scratch:
        out, err = Path(scratch) / "out", Path(scratch) / "err"
        warm_up()
        process = WARM.Process(target=_carry_out, args=(command[3:], cwd, dict(environ), out, err))
        process.start()
        process.join(timeout)
        if process.is_alive():
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(command, timeout, out.read_text(), err.read_text())
        assert process.exitcode is not None
        said = (file.read_text(encoding="utf-8") if file.exists() else "" for file in (out, err))
        return subprocess.CompletedProcess(command, process.exitcode, *said)


def _carry_out(words: list[str], cwd: Path, environ: dict[str, str], out: Path, err: Path) -> None:
    """`python -m luthier` in a process that is one already."""
    with out.open("w", encoding="utf-8") as said, err.open("w", encoding="utf-8", buffering=1) as complained:
        os.dup2(said.fileno(), 1)
        os.dup2(complained.fileno(), 2)
        sys.stdout, sys.stderr = said, complained
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(environ)
        ours = [entry for entry in sys.path if entry != str(ROOT) and not entry.startswith(str(ROOT / "tests"))]
        sys.path[:] = [str(cwd), *filter(None, environ.get("PYTHONPATH", "").split(os.pathsep)), *ours]
        sys.argv = ["luthier", *words]
        if threads := environ.get("OMP_NUM_THREADS"):
            import torch

            torch.set_num_threads(int(threads))
        try:
            runpy.run_module("luthier", run_name="__main__", alter_sys=True)
        finally:
            atexit._run_exitfuncs()
