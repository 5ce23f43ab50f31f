"""Saves a checkpoint in children that kill themselves at one line each, until one gets through.

A process of its own without threads: a fork of one that has some can hang.

    python -m tests.framework.training.killed_at_each_line FOLDER
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
from pathlib import Path

from luthier.disk import writing
from luthier.training import checkpoint_files

FILES = {"state.json": b'{"a": 1}' * 40, "state.safetensors": bytes(range(256)) * 8, "deep/one": b"x"}


def fill(folder: Path) -> None:
    for name, content in FILES.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)


def main(parent: Path) -> None:
    """Folders 1, 2, …: each holds two checkpoints and what a save left that ended before that line event."""
    for number in itertools.count(1):
        folder = parent / str(number)
        checkpoint_files.write(folder, 1, fill)
        checkpoint_files.write(folder, 2, fill)
        child = os.fork()
        if child == 0:
            _save_until(number, folder)
        if os.waitpid(child, 0)[1] != signal.SIGKILL:
            return


def _save_until(number: int, folder: Path) -> None:
    seen = 0

    def line(frame, event, argument):
        nonlocal seen
        if frame.f_code.co_filename not in (checkpoint_files.__file__, writing.__file__):
            return None
        if event == "line":
            seen += 1
            if seen == number:
                os.kill(os.getpid(), signal.SIGKILL)
        return line

    sys.settrace(line)
    checkpoint_files.write(folder, 3, fill)
    checkpoint_files.prune(folder, 1)
    os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
