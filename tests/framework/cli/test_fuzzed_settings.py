"""Whatever a setting of a recipe is given is taken, or refused by a sentence that names the setting."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from luthier.errors import LuthierError
from luthier.records.folder import RunFolder
from luthier.reporting.console import Console
from luthier.testing.twin import composer
from luthier.workflows.job import run_of

RECIPES = {
    "sft": ("method=sft", "adaptation=lora"),
    "dpo": ("method=dpo",),
    "distill": ("method=distill",),
    "cpt": ("method=cpt",),
}
VALUES = [
    "null", "true", "-1", "0", "1e400", "1e-400", "nan", "inf", "-inf", "9999999999999999999999", "1.5", "''", "[]",
    "{}", "[1,[2]]", "{a:1}", "'${nope}'", "'x y'", "0x10", "1_000", "'\\n'", "'../../x'", "[null]", "'🙂'",
]  # fmt: skip
EXAMPLES = int(os.environ.get("LUTHIER_FUZZED_SETTINGS", "25"))


def paths(node, at=""):
    if isinstance(node, dict):
        for name, inner in node.items():
            yield from paths(inner, f"{at}.{name}".lstrip("."))
    if at:
        yield at


@pytest.fixture(scope="module")
def known():
    found = {}
    for name, words in RECIPES.items():
        plain = OmegaConf.to_container(composer().compose(["debug=tiny", *words]).config)
        found[name] = sorted(set(paths(plain)))
    return found


def refusal(recipe, word):
    """What assembling a recipe with one more word raises; None where it is taken."""
    with tempfile.TemporaryDirectory() as place:
        folder = RunFolder(Path(place))
        try:
            composition = composer().compose(["debug=tiny", *RECIPES[recipe], word, f"hydra.run.dir={place}"])
            run_of(composition, folder, composer().plugins, Console())
        except LuthierError as error:
            return error
    return None


def check(recipe, setting, value):
    error = refusal(recipe, f"{setting}={value}")
    if error is not None:
        assert error.code != LuthierError.code, error
        assert setting.rpartition(".")[2] in str(error), (setting, value, str(error))


@settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    recipe=st.sampled_from(sorted(RECIPES)), at=st.integers(0, 10**6),
    value=st.sampled_from(VALUES) | st.text("[]{}$'=,:01ae .", max_size=8),
)  # fmt: skip
def test_no_value_of_any_setting_is_a_traceback(known, recipe, at, value):
    setting = known[recipe][at % len(known[recipe])]
    check(recipe, setting, value)


@pytest.mark.parametrize(
    ("recipe", "setting", "value"),
    [
        ("sft", "model.tokenizer", "0x10"),
        ("sft", "model.config.tie_word_embeddings", "[1,[2]]"),
        ("cpt", "model.config.intermediate_size", "null"),
        ("distill", "model.config.max_position_embeddings", "1.5"),
        ("dpo", "method.objective.beta", "'${nope}'"),
        ("sft", "model", "[null]"),
    ],
)  # fmt: skip
def test_what_was_a_traceback_or_named_no_setting_is_refused_by_name(recipe, setting, value):
    error = refusal(recipe, f"{setting}={value}")
    assert error is not None
    assert error.code == 2
    assert setting.rpartition(".")[2] in str(error)
