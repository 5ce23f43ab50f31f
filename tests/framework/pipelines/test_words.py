"""Which words reach which step, and what is said of those that reach none."""

from __future__ import annotations

import pytest

from luthier.cli.session import catalog
from luthier.plugins.registry import Plugins
from luthier.workflows.pipelines.addressing import pipeline_of

pytestmark = pytest.mark.usefixtures("here", "two")


def words(*said: str) -> dict[str, tuple[str, ...]]:
    return {step.name: step.words for step in pipeline_of(["pipeline=two", *said], catalog(Plugins())).steps}


def test_a_word_with_a_steps_name_goes_to_that_step_and_others_to_each():
    found = words("seed=3", "answer.optimizer.lr=1e-4", "+answer.optimizer.x=1", "~answer.prompt")
    assert "seed=3" in found["read"]
    assert "seed=3" in found["answer"]
    assert "optimizer.lr=1e-3" in found["read"]
    assert {"optimizer.lr=1e-4", "+optimizer.x=1", "~prompt"} <= {*found["answer"]}


@pytest.mark.parametrize("said", [("read.optimizer.lr=5",), ("optimizer.lr=7", "read.optimizer.lr=5")])
def test_what_is_said_later_or_to_a_step_by_name_replaces_what_was_said_before(said):
    assert [word for word in words(*said)["read"] if word.startswith("optimizer.lr")] == ["optimizer.lr=5"]


def test_a_preset_wins_over_the_steps_own_words_but_for_the_model_that_comes_from_a_step():
    found = words("debug=tiny")
    assert found["answer"] == ("recipe=demo", "adaptation=lora", "model=run", "model.path=${steps.read}", "debug=tiny")
    assert "data.limit=3" in words("debug=tiny", "answer.data.limit=3")["answer"]


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("anwser.seed=1", "Did you mean answer?"),
        ("optimzer.lr=1", "Did you mean optimizer?"),
        ("answer=1", "Say answer.recipe=NAME."),
        ("answer", "neither question=answer nor setting=value"),
        ("answer.model.path=${steps.raed}", "Did you mean read?"),
        ("read.model.path=${steps.answer}", "comes later"),
        ("read.model.path=${steps.read}", "itself"),
        ("answer.seed=1,2", "Step answer: 'seed=1,2' has several values"),
        ("answer.optimizer.lt=1", "Step answer: There is no setting 'optimizer.lt'"),
        ("answer.adaptation=lroa", "Did you mean lora"),
        ("name=mine", "set by luthier"),
        ("hydra.run.dir=x", "set by luthier"),
        ("pipeline=tow", "Say pipeline=NAME once."),
        ("-m", "for one recipe"),
    ],
)
def test_what_reaches_no_step_is_refused_before_anything_runs(said, wanted, luthier, here):
    ended = luthier("pipeline=two", said)
    assert ended.code == 2
    assert wanted in ended.err
    assert not (here / "runs").exists()


def test_an_unknown_pipeline_is_answered_with_the_nearest(luthier):
    ended = luthier("pipeline=tow", "--json")
    assert ended.error["code"] == 2
    assert ended.error["hint"] == "Did you mean two?"


BAD = {
    "no steps": ("step: {}", 2, "lists its steps"),
    "an empty list": ("steps: {}", 2, "lists its steps"),
    "another key": ("steps: {a: [recipe=demo]}\nseed: 1", 2, "has no 'seed'"),
    "a question's name": ("steps: {model: [recipe=demo]}", 2, "is a key of every recipe"),
    "no word": ("steps: {a.b: [recipe=demo]}", 2, "is no plain word"),
    "no list": ("steps: {a: recipe=demo}", 2, "is no list of words"),
    "a flag": ("steps: {a: [--trust, x]}", 2, "neither question=answer nor setting=value"),
    "hydra": ("steps: {a: [recipe=demo, hydra.run.dir=/tmp]}", 6, "sets something of Hydra"),
    "an alias bomb": ("a: &a [1,1,1,1,1,1]\n" + "".join(f"{y}: &{y} [*{x},*{x},*{x},*{x},*{x},*{x}]\n"
                      for x, y in zip("abcdefgh", "bcdefghi", strict=True)), 6, "unfolds"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_a_file_that_is_no_pipeline_is_refused(what, write, luthier):
    text, code, wanted = BAD[what]
    write("recipes/pipeline/bad.yaml", f"# It is bad.\n{text}\n")
    ended = luthier("pipeline=bad")
    assert (ended.code, wanted in ended.err) == (code, True), ended.err


def test_hostile_words_of_a_pipelines_file_are_refused(write, luthier):
    write("recipes/pipeline/bad.yaml", "# It is bad.\nsteps:\n  a: [recipe=demo, tracking._target_=os.system]\n")
    assert luthier("pipeline=bad").code == 6


def test_pipelines_are_listed_explained_and_completed(luthier, monkeypatch):
    assert "luthier pipeline=two" in [one["run"] for one in luthier("recipes", "pipeline", "--json").record]
    assert "model.path=${steps.read}" in luthier("explain", "pipeline=two").out
    assert "luthier pipeline=NAME" in luthier("--help").out
    for line, wanted in {
        "luthier pipeline=t": "pipeline=two",
        "luthier pipeline=two an": "answer.",
        "luthier pipeline=two answer.adap": "answer.adaptation=",
    }.items():
        monkeypatch.setenv("COMP_LINE", line)
        assert wanted in luthier("-sc", "query=bash").out.split()


def test_a_pipeline_comes_with_a_folder_of_recipes(write, luthier):
    write("elsewhere/pipeline/other.yaml", "# It is elsewhere.\nsteps: {only: [recipe=demo]}\n")
    assert luthier("pipeline=other").code == 2
    ended = luthier("plan", "pipeline=other", "debug=tiny", "--config-dir", "elsewhere", "--json")
    assert (ended.code, ended.record["steps"][0]["step"]) == (0, "only")
