"""A prompt that is chosen by what the model answers with it."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.api import DataError, Example, Prompt, PromptScorer, RecipeError, encode_prompt
from luthier_prompting.bedrock import RESULTS, results
from luthier_prompting.candidate import Candidate
from luthier_prompting.choosing import Choosing, Ground, Trial
from luthier_prompting.demonstration import Demonstration
from luthier_prompting.prompt_template import Frame
from luthier_prompting.proposals import Proposals

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TRIALS = "search.json"
ASKS = {"role": "user", "content": "?"}


class Searched(Prompt):
    """Choose an instruction and a set of examples by the recipe's score on the validation split.

    The instructions are those of all `proposals`, and none; the sets are `sets` draws of up to `shots` training
    examples that fit into `tokens` tokens, and none. `choosing` tries their combinations, or writes further ones, and
    asks the model at most `budget` questions. The stage `search` does it; the artifact holds what was chosen, and every
    trial; where the data are Bedrock's, its result file, too.
    """

    def __init__(
        self,
        *,
        proposals: Mapping[str, Proposals],
        choosing: Choosing,
        sets: int = 4,
        shots: int = 4,
        tokens: int = 512,
        template: str | None = None,
        budget: int = 400,
        seed: int = 0,
    ) -> None:
        for name, value, least in (
            ("sets", sets, 0),
            ("shots", shots, 1),
            ("tokens", tokens, 1),
            ("budget", budget, 1),
        ):
            if value < least:
                raise RecipeError(f"prompt.{name} is {value}.", where=f"prompt.{name}", hint=f"Use {least} or more.")
        self.proposals, self.choosing = proposals, choosing
        self.sets, self.shots, self.tokens, self.template = sets, shots, tokens, template
        self.budget, self.seed = budget, seed
        self.chosen = Candidate("", template, [])  # until it has searched
        self.trials: list[dict[str, Any]] = []
        self.bedrock: Example | None = None
        self.notes: list[str] = []

    def learn(self, examples: Iterable[Example], tokenizer: PreTrainedTokenizerBase) -> None:
        """Keep what can be shown. DataError for an example of another split."""
        frame, self.pool, self._tokenizer = Frame("", self.template), list[Demonstration](), tokenizer
        self._train: list[Example] = []
        for example in examples:
            if example.get("split", "train") != "train":
                raise DataError("An example that is held out was about to be shown.", where=str(example.get("where")))
            if (shown := frame.demonstration(example)) is not None:
                self.pool.append(shown)
                self._train.append(example)
            if "prompt_template" in example:
                self.bedrock = example

    def choose(self, judge: PromptScorer) -> None:
        found = [one.strip() for proposals in self.proposals.values() for one in proposals(self.pool)]
        instructions = list(dict.fromkeys(["", *found]))
        sets = self._example_sets()
        if len(instructions) * len(sets) == 1 and not self.choosing.writes:
            raise RecipeError("There is nothing to choose among.", where="prompt", hint="Give it proposals or sets.")
        ground = Ground(instructions, sets, judge, self.budget, self.template, self.pool, self._train, self._fitting)
        trials = self.choosing(ground)
        best = max(trials, key=lambda trial: (trial.count, trial.value))
        self.chosen = ground.prompt(best.instruction, best.examples)
        self.trials = [{**asdict(one), "words": instructions[one.instruction]} for one in trials]
        self.notes = [_note(trials, best, ground, self.chosen), *ground.notes]

    def _example_sets(self) -> list[list[Demonstration]]:
        """No example, and draws of the training split."""
        draw, found = random.Random(self.seed), list[list[Demonstration]]([[]])
        for _ in range(self.sets if self.pool else 0):
            chosen = self._fitting(draw.sample(self.pool, len(self.pool)))
            if chosen and chosen not in found:
                found.append(chosen)
        return found

    def _fitting(self, shown: Iterable[Demonstration]) -> list[Demonstration]:
        """As many as may be shown of those that come; one that is too long is passed over."""
        chosen, bare = list[Demonstration](), self._size([])
        for one in shown:
            if len(chosen) == self.shots:
                break
            if self._size([*chosen, one]) - bare <= self.tokens:
                chosen.append(one)
        return chosen

    def _size(self, shown: Sequence[Demonstration]) -> int:
        """The tokens of a conversation of one word with these examples."""
        columns = self.pool[0].columns if self.pool else {}
        asked = Candidate("", self.template, shown)({**columns, "messages": [ASKS]})
        return len(encode_prompt(asked, self._tokenizer))

    def __call__(self, example: Example) -> Example:
        return self.chosen(example)

    def save(self, folder: Path) -> None:
        self.chosen.save(folder)
        (folder / TRIALS).write_text(json.dumps(self.trials, indent=1, ensure_ascii=False), encoding="utf-8")
        if self.bedrock is not None:
            name = str(getattr(self._tokenizer, "name_or_path", ""))
            told = results(self.bedrock, self.chosen.system, self.chosen.shown, Path(name).name, self.trials)
            (folder / RESULTS).write_text(told, encoding="utf-8")

    def load(self, folder: Path, tokenizer: PreTrainedTokenizerBase) -> None:
        self.chosen.load(folder, tokenizer)

    def opening(self) -> list[dict[str, Any]] | None:
        return self.chosen.opening()

    @property
    def warnings(self) -> list[str]:
        return self.notes


def _note(trials: Sequence[Trial], best: Trial, ground: Ground, chosen: Candidate) -> str:
    tried = {(one.instruction, one.examples) for one in trials}
    plain = [one.value for one in trials if (one.instruction, one.examples) == (0, 0) and one.count == best.count]
    beside = f"; without either it is {plain[0]:.3f}" if plain else ""
    return (
        f"Of {math.prod(ground.shape)} prompts {len(tried)} were tried with {ground.asked} questions. The "
        f"chosen one has {len(chosen.shown)} examples and says {chosen.system!r}; its score on {best.count} validation "
        f"examples is {best.value:.3f}{beside}. A score by which a prompt was chosen is too good: trust the test split."
    )
