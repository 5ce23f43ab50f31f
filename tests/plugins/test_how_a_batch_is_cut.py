"""The update does not depend on how a batch is cut: every method, and every answer to a question below it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from luthier.testing.method import ALL, MethodContract, update
from luthier.testing.twin import composer
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
    "alignment=in_order": ("method/signal=universal",),
    "signal=weighted": ("+method/signal@method.signal.signals.a=reverse_kl",),
    "sequences=mixed": ("+method/sequences@method.sequences.sequences.a=student",),
    "sequences=student": ("method.sequences.max_new_tokens=8",),
    "sequences=teacher": ("method.sequences.max_new_tokens=8",),
}  # fmt: skip
"""What a recipe with this answer needs beside it, or what makes it cheap."""
CANNOT = {"grpo": frozenset({"packing"})}


def contract(method: str) -> type[MethodContract]:
    """That of a method with its own answers: a new one is tested by itself."""
    words = (f"method={method}", *BESIDE.get(method, ()))
    return type(f"Test{method}", (MethodContract,), {"words": words, "cannot": CANNOT.get(method, frozenset())})


globals().update({f"Test_{method}": contract(method) for method in CATALOG.names("method")})


def questions(method: str) -> list[str]:
    """What is asked below a method."""
    defaults = yaml.safe_load(CATALOG.answers["method", method].text).get("defaults", [])
    return [name for one in defaults if isinstance(one, dict) for name in one if not name.startswith("/")]


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
        try:
            whole = update(tmp_path / method / "whole", *words, f"batch.micro={ALL}")
        except Exception as error:  # an objective of another method has another signature
            refused += f"\n{method}: {error}"
            continue
        fits.append(method)
        whole.assert_same(update(tmp_path / method / "cut", *words, "batch.micro=1"))
    assert fits, f"No method takes {question}={answer}:{refused}"
