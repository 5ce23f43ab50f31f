"""A broken recipe cannot ship: each runs as its offline twin, through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from luthier.composing.catalog import Catalog
from luthier.plugins import Plugins
from tests.command import luthier

RECIPES = Catalog.of(Plugins()).names("recipe")


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_shipped_recipe_runs_as_its_tiny_twin(recipe: str, tmp_path: Path) -> None:
    done = luthier(f"recipe={recipe}", "debug=tiny", f"hydra.run.dir={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    assert record["training"]["steps"] == 2
    assert sum(record["splits"].values()) <= 16
    assert {"report.html", "MODEL_CARD.md", "metrics.jsonl", "resolved.yaml", "env.json"} <= {
        path.name for path in (tmp_path / "run").iterdir()
    }
