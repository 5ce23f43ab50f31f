"""On which sequences do student and teacher meet? `method/sequences`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from luthier.api import Answer, Example, RecipeError, Sampling

Prompts = Sequence[NDArray[np.int32]]
"""Token ids, int32."""
Write = Callable[[Prompts, Sampling, Sequence[int]], list[Answer]]
"""`write(prompts, sampling, the numbers that chance knows them by)`: the answers of one network."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A prompt of the data, `ids` as the student sees it and `shown` as the teacher does; `number` of its example."""

    number: int
    example: Example
    ids: NDArray[np.int32]
    shown: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Writers:
    """Who can write answers; `seed` and `step` are what else chance depends on."""

    student: Write
    teacher: Write
    seed: int
    step: int

    def chance(self, number: int) -> float:
        """In [0, 1), of an example in this step."""
        return float(np.random.default_rng([self.seed, self.step, number]).random())

    def fresh(self) -> int:
        """A seed that is another one in every step."""
        return int(np.random.SeedSequence([self.seed, self.step]).generate_state(1)[0])


@dataclass(frozen=True, slots=True)
class Kept:
    """The data's own sequence stays."""


@dataclass(frozen=True, slots=True)
class Left:
    """Nothing is trained on: no answer was good enough."""


Found = Answer | Kept | Left


class Sequences(Protocol):
    """Says for each prompt which sequence is trained on."""

    writes: frozenset[str]
    """Who of `student` and `teacher` is asked to write."""
    text_prompt: int
    """Tokens of a plain text that are its prompt."""

    def __call__(self, asked: Sequence[Asked], by: Writers) -> list[Found]: ...

    def facts(self) -> dict[str, str]:
        """For the report."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class FromData:
    """The data's own."""

    writes: frozenset[str] = frozenset()
    text_prompt = 1

    def __call__(self, asked: Sequence[Asked], by: Writers) -> list[Found]:
        return [Kept() for _ in asked]

    def facts(self) -> dict[str, str]:
        return {}

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """There is none."""


class FromStudent(FromData):
    """The student's own answers, written anew in every step, for the share λ of the prompts; else the data's.

    So it learns where it goes wrong by itself (on-policy distillation, GKD, Agarwal et al., 2024, algorithm 1). A plain
    text goes on after its first `text_prompt` tokens.
    """

    writes = frozenset({"student"})

    def __init__(
        self,
        *,
        share: float = 0.5,
        max_new_tokens: int = 64,
        temperature: float = 1.0,
        top_p: float = 1.0,
        top_k: int = 0,
        text_prompt: int = 32,
    ) -> None:
        if not 0 < share <= 1:
            raise RecipeError(
                f"The share of the student's own answers is {share}.",
                where="method.sequences.share",
                hint="Use more than 0 and at most 1, or method/sequences=data.",
            )
        self.share, self.text_prompt = share, text_prompt
        self.sampling = Sampling(max_new_tokens, temperature, top_p, top_k)
        self.counts: Counter[str] = Counter()

    def __call__(self, asked: Sequence[Asked], by: Writers) -> list[Found]:
        own = [place for place, one in enumerate(asked) if by.chance(one.number) < self.share]
        sampling = replace(self.sampling, seed=by.fresh())
        written = by.student([asked[place].ids for place in own], sampling, [asked[place].number for place in own])
        found: list[Found] = [Kept() for _ in asked]
        for place, answer in zip(own, written, strict=True):
            found[place] = answer
        self.counts.update(own=len(own), cut=sum(answer.finish == "length" for answer in written))
        return found

    def facts(self) -> dict[str, str]:
        own, cut = self.counts["own"], self.counts["cut"]
        return {"Student's own answers": f"{own:,}, of which {cut:,} ran out of tokens"}

    def state_dict(self) -> dict[str, Any]:
        return {"counts": dict(self.counts)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.counts = Counter(state["counts"])


class Mixed(FromData):
    """Several, each for its share of the prompts, drawn anew in every step; one without a share counts once."""

    def __init__(self, *, sequences: dict[str, Any] | None = None, shares: dict[str, float] | None = None) -> None:
        self.sequences: Mapping[str, Sequences] = sequences or {}
        self.shares = shares or {}
        given = {name: self.shares.get(name, 1.0) for name in self.sequences}
        if not given or set(self.shares) - set(given) or min(given.values()) <= 0:
            raise RecipeError(
                f"A mixture of {', '.join(self.sequences) or 'nothing'} has the shares {self.shares}.",
                where="method.sequences",
                hint="In a recipe's defaults: /method/sequences@method.sequences.sequences.NAME: student, for each; "
                "shares are more than 0.",
            )
        self._ends = np.cumsum(list(given.values())) / sum(given.values())
        self.writes = frozenset().union(*(each.writes for each in self.sequences.values()))
        self.text_prompt = max(each.text_prompt for each in self.sequences.values())

    def __call__(self, asked: Sequence[Asked], by: Writers) -> list[Found]:
        found: list[Found] = [Kept() for _ in asked]
        chosen = [int(np.searchsorted(self._ends, by.chance(one.number), side="right")) for one in asked]
        inner = replace(by, step=by.step + 2**32)  # what they draw is another chance than which is drawn
        for number, sequences in enumerate(self.sequences.values()):
            places = [place for place, choice in enumerate(chosen) if choice == number]
            for place, one in zip(places, sequences([asked[place] for place in places], inner), strict=True):
                found[place] = one
        return found

    def facts(self) -> dict[str, str]:
        return {key: said for each in self.sequences.values() for key, said in each.facts().items()}

    def state_dict(self) -> dict[str, Any]:
        return {name: each.state_dict() for name, each in self.sequences.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, each in self.sequences.items():
            each.load_state_dict(state[name])
