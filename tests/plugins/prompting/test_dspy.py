"""DSPy's optimisers as ways of choosing: through the command line, within the budget, and by the training split."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from luthier.contracts.prompt import PromptScores
from luthier.errors import DataError, RecipeError, ResourceError
from luthier_prompting.choosing import Ground
from luthier_prompting.choosing.gepa import Gepa
from luthier_prompting.choosing.mipro import Mipro
from luthier_prompting.demonstration import Demonstration
from luthier_prompting.writers import Writer
from luthier_prompting.writers.endpoint import Endpoint
from tests.command import luthier

WORDS = (
    "data=demo", "data.splits.validation=0.1", "data.limit=80", "model=tiny", "prompt=searched", "prompt.sets=1",
    "prompt.shots=1", 'prompt.proposals.listed.instructions=["Say happy or unhappy."]', "prompt.budget=40",
    "prompt.choosing.writer.tokens=8", "evaluation/task=classification", "evaluation.examples=6",
    "evaluation.samples=1", "evaluation.sample_tokens=2", "evaluation.general_examples=0", "score=accuracy",
    "stages=[search,evaluate]",
)  # fmt: skip


@pytest.mark.parametrize(
    "choosing",
    [
        ("prompt/choosing=mipro", "prompt.choosing.trials=6", "prompt.choosing.candidates=3"),
        ("prompt/choosing=gepa", "prompt.choosing.questions=6", "prompt.choosing.reflected=2"),
    ],
    ids=["mipro", "gepa"],
)
def test_a_run_chooses_by_dspy_and_leaves_an_ordinary_prompt(choosing, tmp_path, monkeypatch):
    cache = str(tmp_path / "luthier")
    environment = {"LUTHIER_CACHE": cache, "DSPY_CACHEDIR": str(tmp_path / "dspy")}
    done = luthier(*WORDS, *choosing, f"hydra.run.dir={tmp_path / 'run'}", timeout=900, **environment)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "dspy").exists(), "DSPy keeps nothing"
    trials = json.loads((tmp_path / "run" / "artifact" / "search.json").read_text())
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    told = next(found for note in record["warnings"] if (found := TOLD.search(note)))
    assert int(told["prompts"]) > 4, "two instructions and two sets were given, and DSPy adds to them"
    assert sum(one["count"] for one in trials) <= int(told["questions"]) <= 40
    assert (trials[0]["instruction"], trials[0]["examples"]) == (0, 0)
    kept = json.loads((tmp_path / "run" / "artifact" / "prompt.json").read_text())
    assert max(one["value"] for one in trials) == pytest.approx(
        next(one["value"] for one in trials if one["words"] == kept["system"])
    )
    asked = _questions(tmp_path / "run", cache, monkeypatch)
    assert {one["question"] for one in kept["examples"]} <= asked["train"]
    sample = record["samples"][0]["conversation"]
    assert (sample[0]["role"] == "system") == bool(kept["system"])


TOLD = re.compile(r"Of (?P<prompts>\d+) prompts \d+ were tried with (?P<questions>\d+) questions")


def _questions(run: Path, cache: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, set[str]]:
    from luthier.plugins.registry import Plugins
    from luthier.workflows.finished_run import FinishedRun

    monkeypatch.setenv("LUTHIER_CACHE", cache)
    data = FinishedRun.load(run, plugins=Plugins.from_flags([])).data
    return {
        split: {example["messages"][0]["content"] for example in data.examples(split)} for split in ("train", "test")
    }


class Scripted(Writer):
    """Says what it was given to say, and keeps what it was asked."""

    def __init__(self, *says: str) -> None:
        self.says, self.heard = says, list[str]()

    def __call__(self, conversation, judge, *, temperature, seed):
        self.heard.append("\n".join(turn["content"] for turn in conversation))
        return self.says[len(self.heard) % len(self.says)]


class Wanting:
    """A judge whose model answers rightly with one instruction, and better with an example of it."""

    def __init__(self, words: str) -> None:
        self.words, self.asked = words, 0
        self.examples = [_example(f"Held out {number}", "held-out answer") for number in range(12)]
        self.most = len(self.examples)

    def judged(self, prompt, examples):
        self.asked += len(examples)
        score = 0.6 * (prompt.system == self.words) + 0.1 * len(prompt.shown) + 0.05 * (prompt.system != "")
        return PromptScores(score, [("answer", score) for _ in examples])


def _example(question, answer):
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


def ground(judge, **settings) -> Ground:
    pool = [Demonstration(f"Question {number}", f"Question {number}", "yes", "yes") for number in range(20)]
    train = [_example(one.question, one.answer) for one in pool]
    return Ground(**{
        "instructions": ["", "Guess."], "sets": [[], pool[:2]], "judge": judge, "budget": 200, "pool": pool,
        "train": train, "fitting": lambda shown: list(shown)[:2], **settings,
    })  # fmt: skip


@pytest.mark.parametrize("choosing", [Mipro, Gepa])
def test_the_words_of_the_writer_are_found_within_the_budget_and_from_training_examples_alone(choosing, monkeypatch):
    def connect(*words):
        raise AssertionError("no network")

    monkeypatch.setattr("socket.socket.connect", connect)
    tried = []
    for _ in range(2):
        judge, writer = Wanting("Judge it."), Scripted("Guess again.", "Judge it.", "")
        place = ground(judge)
        trials = choosing(writer=writer, seed=1)(place)
        tried.append(trials)
        best = max(trials, key=lambda one: one.value)
        assert place.instructions[best.instruction] == "Judge it."
        assert place.sets[best.examples], "examples help, and are kept"
        assert judge.asked == place.asked <= 200
        assert all("Held out" not in heard and "held-out answer" not in heard for heard in writer.heard)
        assert any("Question" in heard for heard in writer.heard)
        assert any("the writer answered nothing" in note for note in place.notes)
    assert tried[0] == tried[1], "the seed decides"
    assert "litellm" not in sys.modules


@pytest.mark.parametrize("choosing", [Mipro, Gepa])
def test_what_goes_wrong_is_said_and_not_swallowed(choosing):
    class Silent(Scripted):
        def __call__(self, *words, **settings):
            super().__call__(*words, temperature=0, seed=0)
            raise ResourceError("The server is gone.")

    writer = Silent("")
    with pytest.raises(ResourceError, match="server is gone"):
        choosing(writer=writer)(ground(Wanting("Judge it.")))
    assert len(writer.heard) == 1, "it is asked no more"
    with pytest.raises(RecipeError, match="budget of 5 questions") as refused:
        choosing(writer=writer)(ground(Wanting("Judge it."), budget=5))
    assert "or more" in refused.value.hint
    with pytest.raises(DataError, match="No training example"):
        choosing(writer=writer)(ground(Wanting("Judge it."), pool=[], train=[]))


def test_an_endpoint_writes_with_the_key_and_the_seed(scribe, monkeypatch):
    monkeypatch.setenv("SCRIBE_KEY", "secret")
    writer = Endpoint(address=scribe.address, model="m", key="SCRIBE_KEY", tokens=9)
    said = writer([{"role": "user", "content": "Write."}], Wanting(""), temperature=0.5, seed=7)
    assert said.strip() == "Judge the review."
    heard = scribe.heard[-1]
    assert heard["key"] == "Bearer secret"
    assert (heard["seed"], heard["max_tokens"], heard["temperature"]) == (7, 9, 0.5)
