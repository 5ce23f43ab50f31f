"""The update does not depend on how a batch is cut: every method, and every answer to a question below it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from luthier.data.content_hashes import hash_of_function
from luthier.testing.method import ALL, MethodContract, update
from luthier.testing.twin import composer, twin
from tests.session_cache import cache, session_cache

__all__ = ["cache", "session_cache"]

CATALOG = composer().catalog
NOT_OF_THE_LOSS = {"reward", "rollout"}
"""Questions about a single prompt and its answers, outside the loss."""
BESIDE = {
    "grpo": (
        "method.group=3", "method.rollout.max_new_tokens=8", "method/reward=length", "method.reward.fewest=4",
        "method.reward.most=4", "method.reward.slack=8",
    ),
    "objective=mixture": ("+method/objective@method.objective.objectives.a=hinge",),
    "distill": ("model.seed=1",),
    "mlm": ("model=tiny_encoder",),
    "tag": ("model=tiny_encoder",),  # transformers gives other tagging heads dropout, whose places depend on the batch
    "alignment=in_order": ("method/signal=universal", "optimizer.lr=0.001"),
    "signal=universal": ("optimizer.lr=0.001",),  # |p - q| has kinks, at which rounding turns a gradient round
    "objective=steps": ("batch.allow=[endless_answer, untrained_end_of_turn]",),
    "objective=ordinal": ("method.labels=[bad, good]",),
    "objective=rating_class": ("method.objective.labels=[good, bad]",),
    "signal=weighted": ("+method/signal@method.signal.signals.a=reverse_kl",),
    "sequences=mixed": ("+method/sequences@method.sequences.sequences.a=student",),
    "sequences=student": ("method.sequences.max_new_tokens=8",),
    "sequences=teacher": ("method.sequences.max_new_tokens=8",),
}  # fmt: skip
"""What a recipe with this answer needs beside it, or what makes it cheap; a teacher is another network."""
OWN_ROWS = {
    "objective=rating", "objective=rating_class", "objective=steps", "objective=ordinal", "objective=several_labels",
    "objective=number", "objective=cosine_similarity", "objective=cosent", "objective=graded",
}  # fmt: skip
"""Answers that read columns which the tiny data has not."""
CANNOT = {"grpo": frozenset({"packing"})}


def contract(method: str) -> type[MethodContract]:
    """That of a method with its own answers: a new one is tested by itself."""
    words = (f"method={method}", *BESIDE.get(method, ()))
    return type(f"Test_{method}", (MethodContract,), {"words": words, "cannot": CANNOT.get(method, frozenset())})


globals().update({f"Test_{method}": contract(method) for method in CATALOG.names("method")})


def rows(folder: Path, *, of_texts: bool = False) -> tuple[str, ...]:
    """Words for data with ratings, labels and judged steps, and texts that stand for the conversations."""
    made = [
        {
            "messages": [
                {"role": "user", "content": f"What is {number} + 1?"},
                {"role": "assistant", "content": f"It is {number + 1}." + " So it is." * (number % 3)},
            ],
            **({"text": f"What is {number} + 1?" + " So it is." * (number % 3)} if of_texts else {}),
            "rating": number / 4 - 1,
            "score": number / 8,
            "labels": ["good", "bad", "short"][: number % 4],
            "label": ["good", "bad"][number % 2],
            "steps": [f"{number} and 1.", f"{number + 1}."][: 1 + number % 2],
            "step_labels": [True, False][: 1 + number % 2],
        }
        for number in range(9)
    ]
    (folder / "rows.jsonl").write_text("".join(json.dumps(one) + "\n" for one in made))
    return "data=jsonl", "data/format=canonical", f"data.file={folder / 'rows.jsonl'}"


def questions(method: str) -> list[str]:
    """What is asked below a method."""
    defaults = yaml.safe_load(CATALOG.answers["method", method].text).get("defaults", [])
    return [name for one in defaults if isinstance(one, dict) for name in one if not name.startswith("/")]


def test_a_step_in_which_nothing_weighs_anything_moves_nothing(tmp_path: Path) -> None:
    """No answer of the teacher passes, so each micro-batch has the loss 0 and the weight 0."""
    words = ("method=distill", "method/sequences=teacher", "method.sequences.max_new_tokens=2", "batch.micro=1")
    norms = [line["gradient_norm"] for line in update(tmp_path / "run", *words, "batch.packing=false").metrics]
    assert norms == [0, 0]


def test_rows_are_encoded_anew_for_another_alignment_and_another_teacher(tmp_path: Path) -> None:
    changed = ((), ("method/alignment=byte_spans",), ("method.teacher.seed=3",), ("method.teacher.vocabulary=512",))
    runs = [twin(tmp_path / str(number), "method=distill", *words) for number, words in enumerate(changed)]
    assert len({hash_of_function(run.method.encode) for run in runs}) == len(runs)


BELOW = [
    (question, answer)
    for question in sorted({one for method in CATALOG.names("method") for one in questions(method)} - NOT_OF_THE_LOSS)
    for answer in CATALOG.names(f"method/{question}")
]


@pytest.mark.exhaustive
@pytest.mark.parametrize(("question", "answer"), BELOW, ids=lambda one: one)
def test_the_update_does_not_depend_on_micro_batches(question: str, answer: str, tmp_path: Path) -> None:
    fits, refused = [], ""
    for method in (one for one in CATALOG.names("method") if question in questions(one)):
        words = (f"method={method}", *BESIDE.get(method, ()), f"method/{question}={answer}")
        words = (*words, *BESIDE.get(f"{question}={answer}", ()), "batch.packing=false")
        words = (*words, *(rows(tmp_path, of_texts=method == "classify") if f"{question}={answer}" in OWN_ROWS else ()))
        try:
            whole = update(tmp_path / method / "whole", *words, f"batch.micro={ALL}")
        except Exception as error:  # an objective of another method has another signature
            refused += f"\n{method}: {error}"
            continue
        fits.append(method)
        whole.assert_same(update(tmp_path / method / "cut", *words, "batch.micro=1"))
    assert fits, f"No method takes {question}={answer}:{refused}"
