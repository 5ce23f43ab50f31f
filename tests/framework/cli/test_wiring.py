"""One wiring: what a run accepts under `--trust`, `plan` and `preview` accept, and nothing else."""

from __future__ import annotations

import json
import shutil
from operator import attrgetter
from pathlib import Path

import pytest

from luthier.config.catalog import Catalog
from luthier.config.compose import Composer
from luthier.contracts.trust import Trust
from luthier.data.reading import Reading
from luthier.plugins.registry import Plugins
from luthier.records.folder import RunFolder
from luthier.workflows.parts import assemble

VERBS = [["plan"], ["preview"], ["stages=[]", "evaluation.general_examples=0"]]
OWN = """
from transformers import LlamaConfig, LlamaForCausalLM

class Config(LlamaConfig):
    model_type = "llama"

class Network(LlamaForCausalLM):
    config_class = Config
"""
COMMIT = "0123456789" * 4


@pytest.fixture
def folder_with_code(run, here, monkeypatch) -> Path:
    """A model whose folder brings a configuration class of its own."""
    place = here / "model"
    shutil.copytree(run / "artifact", place)
    monkeypatch.setenv("HF_MODULES_CACHE", str(here / "modules"))
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(here / "modules"))
    (place / "own.py").write_text(OWN)
    config = json.loads((place / "config.json").read_text())
    code = {"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Network"}
    (place / "config.json").write_text(json.dumps(config | {"auto_map": code}))
    return place


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb[0])
def test_a_folder_with_code_is_refused_without_trust_and_accepted_with_it(verb, folder_with_code, luthier):
    words = [*verb, "debug=tiny", "model=folder", f"model.path={folder_with_code}", "data=tiny"]
    assert luthier(*words).code == 6
    assert luthier(*words, "--trust", str(folder_with_code)).code == 0


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb[0])
def test_code_of_the_working_folder_is_refused_without_trust_and_accepted_with_it(verb, luthier, write):
    write(
        "mine_of_this_test.py",
        "from luthier.data.prompts import ChatPrompt\n\n\nclass Plain(ChatPrompt):\n    pass\n",
    )
    write("recipes/prompt/mine.yaml", "# The conversation as it is.\n_target_: mine_of_this_test.Plain\n")
    words = [*verb, "debug=tiny", "prompt=mine"]
    assert luthier(*words).code == 6
    assert luthier(*words, "--trust", "mine_of_this_test.Plain").code == 0


def composition(*words: str, vouched: tuple[str, ...] = ()):
    plugins = Plugins.from_flags([])
    return Composer(plugins, Catalog.of(plugins), vouched).compose(words)


@pytest.mark.parametrize("vouched", [f"org/model@{COMMIT}", "org/model", "org/other@" + COMMIT])
def test_a_model_of_the_hub_is_trusted_at_the_commit_that_was_named(vouched):
    made = composition("model=hub", "model.id=org/model", f"model.revision={COMMIT}", vouched=(vouched,))
    assert assemble(made.config, made.trust).model.trusted == (vouched == f"org/model@{COMMIT}")


@pytest.mark.parametrize(
    ("words", "inner"),
    [
        (("method=distill", "model@method.teacher=hub"), "method.teacher"),
        (("model=extended", "model@model.base=hub"), "model.base"),
    ],
    ids=["method.teacher", "model.base"],
)
@pytest.mark.parametrize("vouched", [f"org/model@{COMMIT}", f"org/other@{COMMIT}"])
def test_the_models_inside_a_part_are_trusted_by_their_own_names(words, inner, vouched):
    made = composition(*words, f"{inner}.id=org/model", f"{inner}.revision={COMMIT}", vouched=(vouched,))
    trusted = attrgetter(f"{inner}.trusted")
    assert trusted(assemble(made.config, made.trust)) == (vouched == f"org/model@{COMMIT}")
    assert not trusted(assemble(made.config, Trust()))


def test_without_a_folder_nothing_is_put_into_quarantine(here, write):
    write("mine.jsonl", '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n{"m')
    made = composition("debug=tiny", "data=jsonl", "data.file=mine.jsonl", "data.on_bad_row=quarantine")
    source = assemble(made.config, made.trust).source
    assert Reading.of(source).counts["skipped"] == 1
    written = assemble(made.config, made.trust, RunFolder(here / "run"))
    assert written.source.on_bad_row == "quarantine"


def test_every_part_that_is_refused_is_said_by_plan(luthier):
    ended = luthier("plan", "adaptation=lora", "adaptation.rank=0", "batch.length=1", "--json")
    assert ended.code == 2
    assert ended.record["problems"][0]["where"] == "adaptation.rank"


TOLD = """
from luthier.evaluation.metrics.exact_match import ExactMatch


def refuse_untold(trust):
    if "told_{name}.{name}" not in trust.names:
        raise AssertionError(f"{name} was handed {{trust}}")


class Metric(ExactMatch):
    def __init__(self, trust, **settings):
        refuse_untold(trust)
        super().__init__(**settings)


class Reward:
    in_process = True

    def __init__(self, trust):
        refuse_untold(trust)

    def __call__(self, prompt, answers, example):
        return [1.0 for _ in answers]
"""


def test_a_run_that_is_evaluated_again_hands_its_parts_what_was_vouched_for(luthier, write):
    write("told_Metric.py", TOLD.format(name="Metric"))
    write("more/evaluation/metric/told.yaml", "# Told.\n_target_: told_Metric.Metric\nnormalise: true\n")
    metric = "+evaluation/metric@evaluation.task.metrics.told=told"
    trust = ("--trust", "told_Metric.Metric")
    words = ("debug=tiny", "data=tiny", "evaluation/task=generation", metric, "stages=[]", "hydra.run.dir=told")
    assert luthier("--config-dir", "more", *words, *trust).code == 0
    ended = luthier("evaluate", "told", *trust)
    assert ended.code == 0, ended.err


def test_a_reward_that_is_checked_is_handed_what_was_vouched_for(luthier, write):
    write("told_Reward.py", TOLD.format(name="Reward"))
    write("more/method/reward/told.yaml", "# Told.\n_target_: told_Reward.Reward\n")
    words = ("recipe=grpo", "method/reward=told", "debug=tiny", "--config-dir", "more", "--examples", "2")
    ended = luthier("reward-check", *words, "--trust", "told_Reward.Reward")
    assert ended.code == 0, ended.err
