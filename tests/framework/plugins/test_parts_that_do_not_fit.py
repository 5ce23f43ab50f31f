"""A part that its contract does not allow is named as it is built, and what it gives back where it is taken."""

from __future__ import annotations

import pytest

SIGNATURES = """
import functools
from collections.abc import Sequence

class FirstWord:
    metrics, writes = {}, True
    def __call__(self, questions, known): ...

class Silent:
    better = "higher"
    def reduce(self, totals): ...

class Wide(Silent):
    def statistics(self): ...

class Late:
    async def __call__(self, prompt, answers, example): ...

class Slotted:
    __slots__ = ("best",)
    def __init__(self, *, best: float = 1.0): self.best = best
    def __call__(self, prompt, answers, example, /): return [self.best for _ in answers]

def scored(prompt, answers): ...

def made(*, best: float = 1.0): return functools.partial(scored)

class Borrowed:
    def __getattr__(self, name): return getattr(FirstWord(), name)
"""
PLACE = "(strange-parts 0.3.1, __init__.py:"
MISFITS = {
    "evaluation/task=it FirstWord": [
        f"evaluation/task=it: FirstWord {PLACE}6)",
        "must take predictor, questions, known, and takes questions, known",
    ],
    "evaluation/metric=it Silent": [f"Silent {PLACE}10) has no method statistics(attempts), which a Metric must have"],
    "evaluation/metric=it Wide": [f"Wide.statistics {PLACE}15) must take attempts, and takes nothing"],
    "method/reward=it Late": [f"method/reward=it: Late {PLACE}17) is async, and must be a plain function"],
    "method/reward=it made": [f"scored {PLACE}25) must take prompt, answers, example, and takes prompt, answers"],
    "prompt=it FirstWord": ["has no method learn(examples, tokenizer): inherit Prompt, which has one"],
}


def words_for(question: str) -> list[str]:
    if question.startswith("method/reward"):
        return ["recipe=grpo", "debug=tiny", question]
    if question.startswith("evaluation/metric"):
        return ["recipe=demo", "debug=tiny", f"+{question.replace('metric=', 'metric@evaluation.task.metrics.mine=')}"]
    return ["recipe=demo", "debug=tiny", question]


@pytest.mark.parametrize("which", MISFITS)
def test_a_part_that_does_not_fit_its_contract_is_refused_before_anything_is_loaded(which, luthier, distribution):
    question, part = which.split()
    answer = {question.replace("=", "/"): f"# It.\n_target_: strange_parts.{part}\n"}
    distribution("strange-parts", SIGNATURES, plugin="strange", version="0.3.1", answers=answer)
    end = luthier("plan", *words_for(question), "--json")
    assert end.code == 7, (end.out, end.err)
    assert all(words in end.err + end.out for words in MISFITS[which]), end.err


def test_a_part_that_fits_in_another_style_is_taken(luthier, distribution):
    answer = {"method/reward/it": "# It.\n_target_: strange_parts.Slotted\nbest: 1.0   # for all\n"}
    distribution("strange-parts", SIGNATURES, plugin="strange", answers=answer)
    assert luthier("plan", *words_for("method/reward=it")).code == 0


RETURNS = """
from luthier.api import LanguageModelMethod, NamedWeightsAdaptation, Prompt, Row, encode_conversation

class Forgetful(Prompt):
    def __call__(self, example): pass
    def opening(self): return []

class Bare(LanguageModelMethod):
    def encode(self, example, tokenizer): return Row((encode_conversation(example, tokenizer),))
    def loss(self, batch): return self.cross_entropy(batch).sum

class Listing(Bare):
    def encode(self, example, tokenizer): return [1, 2, 3]
"""
GIVEN = {
    "prompt=it Forgetful": ["prompt=it: Forgetful", "must return a dict, and returned None"],
    "method=it Bare": ["method=it: Bare.loss", "must return a Loss, and returned"],
    "method=it Listing": ["method=it: Listing.encode", "must return a Row, and returned [1, 2, 3]"],
}


@pytest.mark.parametrize("which", GIVEN)
def test_what_a_part_gives_back_is_checked_where_it_is_taken(which, luthier, distribution):
    question, part = which.split()
    answer = {question.replace("=", "/"): f"# It.\n_target_: strange_returns.{part}\n"}
    distribution("strange-returns", RETURNS, plugin="strange", version="0.3.1", answers=answer)
    end = luthier("debug=tiny", question, "--json")
    assert end.code == 7, end.err
    assert all(words in end.error["message"] for words in GIVEN[which]), end.error
    assert "strange-returns 0.3.1, __init__.py:" in end.error["message"]


def test_a_module_that_does_not_load_is_named_with_its_answer(luthier, distribution):
    site = distribution("strange-imports", answers={"prompt/it": "# It.\n_target_: strange_imports.late.It\n"})
    (site / "strange_imports" / "late.py").write_text("class It:\n    pass\n\nimport no_such_package_at_all\n")
    end = luthier("plan", "recipe=demo", "debug=tiny", "prompt=it", "--json")
    assert end.code == 7, end.err
    told = "prompt=it failed: ModuleNotFoundError: No module named 'no_such_package_at_all'"
    (problem,) = end.record["problems"]
    assert told in str(problem)
    assert "in strange_imports.late (strange-imports 1.0, late.py:4)" in str(problem)
