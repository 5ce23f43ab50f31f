"""Advice is a file, too: `recipes/advice/NAME.yaml` says when a recipe is worth comparing. Plugins ship theirs.

# Show a few labelled examples with each question: nothing is trained.
recipe: few_shot
needs: {labels: 5, latency: 1}      # at least so much of each fact
order: 10                           # what is cheaper to try comes first
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from luthier.config import bounds
from luthier.errors import RecipeError
from luthier.errors.suggestions import nearest
from luthier.workflows.advice.facts import FACTS, KnownFacts

if TYPE_CHECKING:
    from luthier.config.catalog import Catalog, CatalogAnswer

QUESTION = "advice"
KEYS = ("recipe", "needs", "order")


@dataclass(frozen=True)
class Advice:
    """A recipe, why it is worth comparing, and what it needs."""

    recipe: str
    reason: str
    needs: dict[str, float]
    order: int

    def lacks(self, known: KnownFacts) -> list[str]:
        """What there is too little of, in words; empty where the recipe can be compared."""
        return [
            f"{amount:g} {FACTS[fact].unit}, and there {'is' if known.of(fact) == 1 else 'are'} {known.of(fact):,.0f}"
            for fact, amount in self.needs.items()
            if known.of(fact) < amount
        ]


def advices(catalog: Catalog) -> list[Advice]:
    """The advice on recipes that are installed, what is cheaper to try first."""
    found = [_read(catalog.answers[QUESTION, name]) for name in catalog.names(QUESTION)]
    return sorted((one for one in found if ("recipe", one.recipe) in catalog.answers), key=lambda one: one.order)


def _read(answer: CatalogAnswer) -> Advice:
    bounds.refuse_unbounded_file(answer.file)
    said = yaml.safe_load(answer.text)
    for complaint, hint in _complaints(said):
        raise RecipeError(f"This is no advice: {complaint}.", where=answer.shown, hint=hint)
    needs = {str(fact): float(amount) for fact, amount in said.get("needs", {}).items()}
    return Advice(said["recipe"], answer.headline, needs, said.get("order", 100))


def _complaints(said: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(said, dict) or not isinstance(said.get("recipe"), str):
        yield "it names no recipe", "Write `recipe: NAME`."
        return
    for key in said:
        if key not in KEYS:
            yield f"there is no {key!r}", nearest(str(key), KEYS, "There are")
    needs = said.get("needs", {})
    for fact, amount in needs.items() if isinstance(needs, dict) else [("needs", None)]:
        if fact not in FACTS:
            yield f"there is no fact {fact!r}", nearest(str(fact), FACTS, "There are")
        elif not isinstance(amount, int | float):
            yield f"{fact} is {amount!r} and no number", ""
    if not isinstance(said.get("order", 0), int):
        yield "order is no number", ""
