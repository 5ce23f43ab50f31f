"""One warm process for each test process: it has imported what takes seconds, and is forked for each command."""

from __future__ import annotations

import multiprocessing
import os
from multiprocessing import forkserver
from pathlib import Path

ROOT = Path(__file__).parents[1]
WARM = multiprocessing.get_context("forkserver")
PRELOADED = [
    "luthier.cli.main",
    "luthier.workflows.run",
    "luthier.testing.twin",
    "peft",
    "transformers.models.llama.modeling_llama",
    "tests.framework.training.tiny_training",
]

AT_FIRST = dict(os.environ)
"""The environment that tests begin with."""


def remember_environment() -> None:
    """Call it when all modules of tests are imported: some libraries set variables of their own while they are."""
    AT_FIRST.clear()
    AT_FIRST.update(os.environ)


def warm_up() -> None:
    """Start the process, in the folder and with the environment that the tests began with, if it is not there yet."""
    if forkserver._forkserver._forkserver_pid is not None:
        return
    folder, environ = os.getcwd(), dict(os.environ)
    os.chdir(ROOT)  # from where the preloaded modules of the tests are imported
    _set(AT_FIRST)
    try:
        WARM.set_forkserver_preload(PRELOADED)
        forkserver.ensure_running()
    finally:
        os.chdir(folder)
        _set(environ)


def _set(environ: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environ)
