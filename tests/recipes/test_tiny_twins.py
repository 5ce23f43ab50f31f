"""A broken recipe cannot ship: each runs as its offline twin, through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from luthier.config.catalog import Catalog
from luthier.plugins.registry import Plugins
from tests.command import luthier

CATALOG = Catalog.of(Plugins())
TWINS = {"mlm": "tiny_encoder"}
"""Recipes that need another twin than a tiny language model."""
RECIPES, PIPELINES = CATALOG.names("recipe"), CATALOG.names("pipeline")


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_shipped_recipe_runs_as_its_tiny_twin(recipe: str, tmp_path: Path) -> None:
    done = luthier(f"recipe={recipe}", f"debug={TWINS.get(recipe, 'tiny')}", f"hydra.run.dir={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    trains = "fit" in yaml.safe_load((tmp_path / "run" / "resolved.yaml").read_text())["stages"]
    assert record["training"]["steps"] == (2 if trains else None)
    assert sum(record["splits"].values()) <= 16
    wanted = {"report.html", "MODEL_CARD.md", "resolved.yaml", "env.json", *(["metrics.jsonl"] if trains else [])}
    assert wanted <= {path.name for path in (tmp_path / "run").iterdir()}


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_every_shipped_pipeline_runs_as_its_tiny_twin(pipeline: str, tmp_path: Path) -> None:
    done = luthier(f"pipeline={pipeline}", "debug=tiny", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for step in json.loads(done.stdout)["steps"]:
        record = json.loads((tmp_path / step["run"] / "record.json").read_text())
        assert record["training"]["steps"] == 2
