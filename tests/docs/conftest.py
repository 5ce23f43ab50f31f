"""What tests of the documentation share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def alone(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One thread, and a cache of the tests' own."""
    monkeypatch.setenv("LUTHIER_CACHE", str(cache))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
