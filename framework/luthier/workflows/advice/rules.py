"""Rules of advice: `recipes/advice/NAME.yaml` states when a recipe is worth comparing. Plugins bring their own.

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
        """The facts that fall short, as text; empty where the recipe can be compared."""
        return [
            f"{amount:g} {FACTS[fact].unit}, and there {'is' if known.of(fact) == 1 else 'are'} {known.of(fact):,.0f}"
            for fact, amount in self.needs.items()
            if known.of(fact) < amount
        ]


def advices(catalog: Catalog) -> list[Advice]:
    """The advice on installed recipes, in the order of `order`."""
    installed = [_read(catalog.answers[QUESTION, name]) for name in catalog.names(QUESTION)]
    return sorted((one for one in installed if ("recipe", one.recipe) in catalog.answers), key=lambda one: one.order)


def _read(answer: CatalogAnswer) -> Advice:
    bounds.refuse_unbounded_file(answer.file)
    rule = yaml.safe_load(answer.text)
    for complaint, hint in _complaints(rule):
        raise RecipeError(f"This is no advice: {complaint}.", where=answer.shown, hint=hint)
    needs = {str(fact): float(amount) for fact, amount in rule.get("needs", {}).items()}
    return Advice(rule["recipe"], answer.headline, needs, rule.get("order", 100))


def _complaints(rule: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(rule, dict) or not isinstance(rule.get("recipe"), str):
        yield "it names no recipe", "Write `recipe: NAME`."
        return
    for key in rule:
        if key not in KEYS:
            yield f"there is no {key!r}", nearest(str(key), KEYS, "There are")
    needs = rule.get("needs", {})
    for fact, amount in needs.items() if isinstance(needs, dict) else [("needs", None)]:
        if fact not in FACTS:
            yield f"there is no fact {fact!r}", nearest(str(fact), FACTS, "There are")
        elif not isinstance(amount, int | float):
            yield f"{fact} is {amount!r} and no number", ""
    if not isinstance(rule.get("order", 0), int):
        yield "order is no number", ""
