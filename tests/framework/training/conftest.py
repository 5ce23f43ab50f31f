from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

HERE = str(Path(__file__).parent)


@pytest.fixture(scope="session")
def tiny():
    """The tiny training; child processes import it by name, so its folder is on their path."""
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (HERE, os.environ.get("PYTHONPATH"))))
    if HERE not in sys.path:
        sys.path.insert(0, HERE)
    import tiny_training

    return tiny_training


@pytest.fixture(scope="session")
def uninterrupted(tiny, tmp_path_factory):
    """The folder of a training that nothing disturbed."""
    folder = tmp_path_factory.mktemp("uninterrupted") / "run"
    assert tiny.finish(tiny.Order(folder)) == 0
    return folder
