"""DSPy's optimisers: through the command line, within the budget, and with the training split alone."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from luthier.api import Demonstration
from luthier.contracts.prompt import PromptScores
from luthier.errors import DataError, RecipeError, ResourceError
from luthier_prompting.choosing import CandidateSpace
from luthier_prompting.choosing.gepa import Gepa
from luthier_prompting.choosing.mipro import MiproV2
from luthier_prompting.writers import InstructionWriter
from luthier_prompting.writers.endpoint import EndpointWriter
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
    summary = next(found for note in record["warnings"] if (found := SUMMARY.search(note)))
    assert int(summary["prompts"]) > 4, "two instructions and two sets were given, and DSPy adds to them"
    assert sum(one["count"] for one in trials) <= int(summary["questions"]) <= 40
    assert (trials[0]["instruction"], trials[0]["examples"]) == (0, 0)
    kept = json.loads((tmp_path / "run" / "artifact" / "prompt.json").read_text())
    assert max(one["value"] for one in trials) == pytest.approx(
        next(one["value"] for one in trials if one["words"] == kept["system"])
    )
    asked = _questions(tmp_path / "run", cache, monkeypatch)
    assert {one["question"] for one in kept["examples"]} <= asked["train"]
    sample = record["samples"][0]["conversation"]
    assert (sample[0]["role"] == "system") == bool(kept["system"])


SUMMARY = re.compile(r"Of (?P<prompts>\d+) prompts \d+ were tried with (?P<questions>\d+) questions")


def _questions(run: Path, cache: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, set[str]]:
    from luthier.plugins.registry import Plugins
    from luthier.workflows.finished_run import FinishedRun

    monkeypatch.setenv("LUTHIER_CACHE", cache)
    data = FinishedRun.load(run, plugins=Plugins.from_flags([])).data
    return {
        split: {example["messages"][0]["content"] for example in data.examples(split)} for split in ("train", "test")
    }


class Scripted(InstructionWriter):
    """Replies with the given texts in turn, and records the requests."""

    def __init__(self, *replies: str) -> None:
        self.replies, self.requests = replies, list[str]()

    def __call__(self, conversation, scorer, *, temperature, seed):
        self.requests.append("\n".join(turn["content"] for turn in conversation))
        return self.replies[len(self.requests) % len(self.replies)]


class PreferringScorer:
    """A scorer whose model answers well with one instruction, and better with an example."""

    def __init__(self, words: str) -> None:
        self.words, self.questions = words, 0
        self.examples = [_example(f"Held out {number}", "held-out answer") for number in range(12)]
        self.size = len(self.examples)

    def score(self, prompt, examples):
        self.questions += len(examples)
        score = 0.6 * (prompt.system == self.words) + 0.1 * len(prompt.shown) + 0.05 * (prompt.system != "")
        return PromptScores(score, [("answer", score) for _ in examples])


def _example(question, answer):
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


def space_of(scorer, **settings) -> CandidateSpace:
    pool = [Demonstration(f"Question {number}", f"Question {number}", "yes", "yes") for number in range(20)]
    train = [_example(one.question, one.answer) for one in pool]
    return CandidateSpace(**{
        "instructions": ["", "Guess."], "sets": [[], pool[:2]], "scorer": scorer, "budget": 200, "pool": pool,
        "train": train, "fitting": lambda shown: list(shown)[:2], **settings,
    })  # fmt: skip


@pytest.mark.parametrize("choosing", [MiproV2, Gepa])
def test_the_best_written_instruction_is_chosen_within_the_budget_and_from_training_examples(choosing, monkeypatch):
    def connect(*words):
        raise AssertionError("no network")

    monkeypatch.setattr("socket.socket.connect", connect)
    tried = []
    for _ in range(2):
        scorer, writer = PreferringScorer("Judge it."), Scripted("Guess again.", "Judge it.", "")
        space = space_of(scorer)
        trials = choosing(writer=writer, seed=1)(space)
        tried.append(trials)
        best = max(trials, key=lambda one: one.value)
        assert space.instructions[best.instruction] == "Judge it."
        assert space.sets[best.examples], "examples help, and are kept"
        assert scorer.questions == space.questions_used <= 200
        assert all("Held out" not in request and "held-out answer" not in request for request in writer.requests)
        assert any("Question" in request for request in writer.requests)
        assert any("gave an empty reply" in note for note in space.notes)
    assert tried[0] == tried[1], "the seed decides"
    assert "litellm" not in sys.modules


@pytest.mark.parametrize("choosing", [MiproV2, Gepa])
def test_an_error_of_the_writer_or_the_budget_is_raised(choosing):
    class FailingWriter(Scripted):
        def __call__(self, *words, **settings):
            super().__call__(*words, temperature=0, seed=0)
            raise ResourceError("The server is gone.")

    writer = FailingWriter("")
    with pytest.raises(ResourceError, match="server is gone"):
        choosing(writer=writer)(space_of(PreferringScorer("Judge it.")))
    assert len(writer.requests) == 1, "no further request is made"
    with pytest.raises(RecipeError, match="budget of 5 questions") as refused:
        choosing(writer=writer)(space_of(PreferringScorer("Judge it."), budget=5))
    assert "or more" in refused.value.hint
    with pytest.raises(DataError, match="No training example"):
        choosing(writer=writer)(space_of(PreferringScorer("Judge it."), pool=[], train=[]))


def test_an_endpoint_writes_with_the_key_and_the_seed(endpoint, monkeypatch):
    monkeypatch.setenv("ENDPOINT_KEY", "secret")
    writer = EndpointWriter(address=endpoint.url, model="m", key="ENDPOINT_KEY", tokens=9)
    reply = writer([{"role": "user", "content": "Write."}], PreferringScorer(""), temperature=0.5, seed=7)
    assert reply.strip() == "Judge the review."
    request = endpoint.requests[-1]
    assert request["key"] == "Bearer secret"
    assert (request["seed"], request["max_tokens"], request["temperature"]) == (7, 9, 0.5)
