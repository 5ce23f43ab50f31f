"""The schema that editors use: it takes every shipped recipe, and refuses what luthier would refuse."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import yaml

import luthier_recipes

SHIPPED = sorted(Path(luthier_recipes.__path__[0], "recipe").glob("*.yaml"))


@pytest.fixture(scope="module")
def schema():
    from luthier.config.catalog import Catalog
    from luthier.config.schema import recipe_schema
    from luthier.plugins.registry import Plugins

    schema = recipe_schema(Catalog.of(Plugins(only=None)))
    jsonschema.Draft7Validator.check_schema(schema)
    return schema


@pytest.fixture
def complaints(schema):
    def check(recipe: dict) -> list[str]:
        return [error.message for error in jsonschema.Draft7Validator(schema).iter_errors(recipe)]

    return check


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_every_shipped_recipe_fits(file, complaints):
    assert complaints(yaml.safe_load(file.read_text())) == []


GOOD = [
    {},
    {"seed": 3, "stages": ["fit"], "score": "loss"},
    {"defaults": [{"override /data": "jsonl"}], "data": {"file": "a.jsonl", "rename": {"yours": "prompt"}}},
    {"defaults": [{"override /data": "mixture"}, {"/data@data.sources.a": "jsonl"}], "data": {"weights": {"a": 1}}},
    {"optimizer": {"lr": "${seed}", "schedule": {"warmup": 0.1}}},
    {"hydra": {"sweeper": {"params": {"optimizer.lr": "1e-4,1e-3"}}}},
    {"trainer": {"clip": None, "max_steps": 3}},
]
BAD = {
    "sead": {"sead": 3},
    "one": {"seed": "one"},
    "clpi": {"trainer": {"clpi": 1}},
    "fp8": {"trainer": {"precision": "fp8"}},
    "jsnol": {"defaults": [{"override /data": "jsnol"}]},
    "modle": {"defaults": [{"override /modle": "tiny"}]},
    "rank": {"adaptation": {"rank": 8}},
    "fiel": {"defaults": [{"override /data": "jsonl"}], "data": {"fiel": "x"}},
    "labls": {"defaults": [{"override /evaluation/task": "classification"}], "evaluation": {"task": {"labls": []}}},
    "run": {"hydra": {"run": {"dir": "/tmp"}}},
    "fti": {"stages": ["fti"]},
}


@pytest.mark.parametrize("recipe", GOOD, ids=str)
def test_what_luthier_takes_the_schema_takes(recipe, complaints):
    assert complaints(recipe) == []


@pytest.mark.parametrize("wrong", BAD)
def test_what_luthier_refuses_the_schema_refuses(wrong, complaints):
    assert any(wrong in message for message in complaints(BAD[wrong]))


def test_settings_have_type_default_and_description(schema):
    clip = schema["definitions"]["trainer=cpu"]["properties"]["clip"]
    assert clip["default"] == 1.0
    assert "gradient" in clip["description"]
    lora = schema["definitions"]["adaptation=lora"]["properties"]["rank"]
    assert {"type": "integer"} in lora["anyOf"]


def test_the_schema_is_printed_or_written(luthier, here):
    assert luthier("schema").record["title"] == "A luthier recipe"
    end = luthier("schema", "--output", "recipes/luthier.schema.json")
    assert end.code == 0
    assert (here / "recipes/luthier.schema.json").is_file()
