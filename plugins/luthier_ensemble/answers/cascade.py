"""A small model first, a large one where the small one is unsure."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from luthier.api import ARTIFACT_MANIFEST, Answer, RecipeError, Sampling
from luthier_ensemble.answers.panel import Conversation, Member, Panel, PanelNetwork

if TYPE_CHECKING:
    from luthier.api import Model

CANDIDATES = 10
"""Thresholds that are tried, spread over how sure the members were on the validation split."""

log = logging.getLogger("luthier")


class Cascade(Panel):
    """Ask the members in order until one is sure enough of its answer; the last one is always believed.

    How sure a member is: the mean of log p over the tokens of its answer, or log p of its likeliest label among the
    labels. Without a `threshold` the run finds the one with the best score on its validation split, and among equal
    ones the one with which the fewest questions go on.
    """

    def __init__(self, *, members: dict[str, Model], threshold: float | None = None) -> None:
        super().__init__(members)
        if len(members) < 2:
            raise RecipeError("A cascade has a small member and a larger one at least.", where="model.members")
        self.threshold, self._found = threshold, ""

    def joined(self, members: Sequence[Member]) -> CascadingNetwork:
        if self.threshold is None:
            raise RecipeError(
                "The cascade has no threshold, and only a run's own model can look for one.",
                where="model.threshold",
                hint="Set it, such as -0.5, or take the run that has found one: model=run.",
            )
        return CascadingNetwork(members, self.threshold)

    def choose(self, judge: Callable[[nn.Module], float]) -> None:
        if self.threshold is not None:
            return
        self.threshold = np.inf
        network = self.network()
        assert isinstance(network, CascadingNetwork)
        network.remembered = {}
        last = judge(network)  # everything goes on, and how sure each member was is known
        sure = np.array(network.confidences["labels"] or network.confidences["answers"])
        if not len(sure):
            raise RecipeError(
                "The recipe's evaluation asks for no answers, so nothing says where a cascade should go on.",
                where="evaluation",
                hint="Score a task, such as evaluation/task=generation, or set model.threshold.",
            )
        tried = np.unique(np.quantile(sure, np.linspace(0, 1, CANDIDATES))).tolist()
        scores = {}
        for threshold in tried:
            network.threshold = threshold
            scores[threshold] = judge(network)
        above = max(tried) + 1.0
        scores[above] = last
        self.threshold = max(scores, key=lambda threshold: (scores[threshold], -threshold))
        on = float((sure < self.threshold).mean())
        same = " at every threshold" if len(set(scores.values())) == 1 else ""
        self._found = (
            f"On the validation split {on:.0%} of what a member was asked goes on to the next with a threshold of "
            f"{self.threshold:.3f}; the score was {abs(scores[self.threshold]):.4g}{same}."
        )
        log.info(self._found)

    def restore(self, folder: Path) -> None:
        """Take the threshold that the run found."""
        manifest = json.loads((folder / ARTIFACT_MANIFEST).read_text(encoding="utf-8"))
        self.threshold = float(manifest["model"]["settings"]["threshold"])

    @property
    def settings(self) -> dict[str, Any]:
        return {"threshold": self.threshold}

    def lineage(self) -> dict[str, Any]:
        found = super().lineage()
        return {**found, "note": " ".join(filter(None, [found["note"], self._found]))}


class CascadingNetwork(PanelNetwork):
    """With `remembered` no member is asked the same twice, and `confidences` collects how sure each of them was."""

    def __init__(self, members: Sequence[Member], threshold: float) -> None:
        super().__init__(members)
        self.threshold = threshold
        self.remembered: dict[str, Any] | None = None
        self.confidences: dict[str, list[float]] = {"answers": [], "labels": []}

    def write_answers(self, conversations: Sequence[Conversation], settings: Sampling) -> list[Answer]:
        each = settings.num_samples

        def ask(member: Member, asked: Sequence[Conversation]) -> tuple[list[list[Answer]], NDArray[np.float64]]:
            said = member.answers(asked, settings)
            grouped = [said[place : place + each] for place in range(0, len(said), each)]
            return grouped, np.array([np.mean([np.mean(one.logprobs) for one in group]) for group in grouped])

        return [answer for group in self._passed_on(conversations, ask, "answers", str(settings)) for answer in group]

    def judge_labels(self, conversations: Sequence[Conversation], labels: Sequence[str]) -> NDArray[np.float32]:
        def ask(member: Member, asked: Sequence[Conversation]) -> tuple[list[NDArray[np.float32]], NDArray[np.float64]]:
            found = member.labels(asked, labels)
            return list(found), found.max(1).astype(np.float64)

        return np.stack(self._passed_on(conversations, ask, "labels", str(labels)))

    def _passed_on(
        self, conversations: Sequence[Conversation], ask: Callable[..., Any], kind: str, how: str
    ) -> list[Any]:
        """What the first member that was sure enough says of each conversation."""
        found: dict[int, Any] = {}
        left = list(range(len(conversations)))
        for place, member in enumerate(self.members):
            if not left:
                break
            said, sure = self._asked(member, [conversations[number] for number in left], ask, how)
            last = place == len(self.members) - 1
            if not last and self.remembered is not None:
                self.confidences[kind] += sure.tolist()
            found |= {
                number: one
                for number, one, confidence in zip(left, said, sure, strict=True)
                if last or confidence >= self.threshold
            }
            left = [number for number in left if number not in found]
        return [found[number] for number in range(len(conversations))]

    def _asked(
        self, member: Member, asked: Sequence[Conversation], ask: Callable[..., Any], how: str
    ) -> tuple[list[Any], NDArray[np.float64]]:
        if self.remembered is None:
            said, sure = ask(member, asked)
            return said, sure
        keys = [json.dumps([member.name, how, list(each)], default=str) for each in asked]
        fresh = [number for number, name in enumerate(keys) if name not in self.remembered]
        if fresh:
            said, sure = ask(member, [asked[number] for number in fresh])
            pairs = zip(said, sure, strict=True)
            self.remembered |= {keys[number]: pair for number, pair in zip(fresh, pairs, strict=True)}
        known = [self.remembered[name] for name in keys]
        return [one for one, _ in known], np.array([confidence for _, confidence in known])
