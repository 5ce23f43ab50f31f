from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def tiny():
    """The tiny training."""
    from tests.framework.training import tiny_training

    return tiny_training


@pytest.fixture(scope="session")
def uninterrupted(tiny, tmp_path_factory):
    """The folder of a training that nothing disturbed."""
    folder = tmp_path_factory.mktemp("uninterrupted") / "run"
    assert tiny.finish(tiny.Order(folder)) == 0
    return folder
