"""Prompt optimisation: an instruction and in-context examples chosen by the score of the model's answers."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.api import DataError, Demonstration, Example, Prompt, PromptScorer, RecipeError, encode_prompt
from luthier_prompting.bedrock import RESULTS, result_line
from luthier_prompting.candidate import Candidate
from luthier_prompting.choosing import CandidateSpace, PromptOptimizer, Trial
from luthier_prompting.prompt_template import PromptTemplate
from luthier_prompting.proposals import Proposals

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TRIALS = "search.json"
_QUESTION = {"role": "user", "content": "?"}


class PromptSearch(Prompt):
    """Choose an instruction and a set of in-context examples by the recipe's score on the validation split.

    The instructions are those of all `proposals` and the empty one; the example sets are the empty one and `sets`
    random sets of up to `shots` training examples that fit into `tokens` tokens. The optimiser `choosing` scores their
    combinations, or writes further instructions, with at most `budget` questions to the model. The stage `search` runs
    it. The artifact holds the chosen prompt and every trial and, where the data are Bedrock's, its result file.
    """

    def __init__(
        self,
        *,
        proposals: Mapping[str, Proposals],
        choosing: PromptOptimizer,
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
        self.chosen = Candidate("", template, [])  # until the search has run
        self.trials: list[dict[str, Any]] = []
        self.pool: list[Demonstration] = []
        self._train: list[Example] = []
        self._bedrock_example: Example | None = None
        self._notes: list[str] = []

    def learn(self, examples: Iterable[Example], tokenizer: PreTrainedTokenizerBase) -> None:
        """Collect the training examples that can be shown. DataError for an example of another split."""
        template, self._tokenizer = PromptTemplate("", self.template), tokenizer
        self.pool, self._train = [], []
        for example in examples:
            if example.get("split", "train") != "train":
                raise DataError(
                    "An example that is held out must not be shown as an in-context example.",
                    where=str(example.get("where")),
                )
            if (demonstration := template.demonstration(example)) is not None:
                self.pool.append(demonstration)
                self._train.append(example)
            if "prompt_template" in example:
                self._bedrock_example = example

    def choose(self, scorer: PromptScorer) -> None:
        proposed = [text.strip() for proposals in self.proposals.values() for text in proposals(self.pool)]
        instructions = list(dict.fromkeys(["", *proposed]))
        sets = self._example_sets()
        if len(instructions) * len(sets) == 1 and not self.choosing.writes:
            raise RecipeError("There is no candidate prompt.", where="prompt", hint="Give it proposals or sets.")
        space = CandidateSpace(
            instructions, sets, scorer, self.budget, self.template, self.pool, self._train, self._fitting
        )
        trials = self.choosing(space)
        best = max(trials, key=lambda trial: (trial.count, trial.value))
        self.chosen = space.prompt(best.instruction, best.examples)
        self.trials = [{**asdict(trial), "words": instructions[trial.instruction]} for trial in trials]
        self._notes = [_summary(trials, best, space, self.chosen), *space.notes]

    def _example_sets(self) -> list[list[Demonstration]]:
        """The empty set, and distinct random sets of training examples."""
        generator, sets = random.Random(self.seed), list[list[Demonstration]]([[]])
        for _ in range(self.sets if self.pool else 0):
            shown = self._fitting(generator.sample(self.pool, len(self.pool)))
            if shown and shown not in sets:
                sets.append(shown)
        return sets

    def _fitting(self, demonstrations: Iterable[Demonstration]) -> list[Demonstration]:
        """The first `shots` that fit into the token budget together; one that does not fit is skipped."""
        shown, without = list[Demonstration](), self._token_count([])
        for demonstration in demonstrations:
            if len(shown) == self.shots:
                break
            if self._token_count([*shown, demonstration]) - without <= self.tokens:
                shown.append(demonstration)
        return shown

    def _token_count(self, shown: Sequence[Demonstration]) -> int:
        """The tokens of a one-word question with demonstrations."""
        columns = self.pool[0].columns if self.pool else {}
        prompted = Candidate("", self.template, shown)({**columns, "messages": [_QUESTION]})
        return len(encode_prompt(prompted, self._tokenizer))

    def __call__(self, example: Example) -> Example:
        return self.chosen(example)

    def save(self, folder: Path) -> None:
        self.chosen.save(folder)
        (folder / TRIALS).write_text(json.dumps(self.trials, indent=1, ensure_ascii=False), encoding="utf-8")
        if self._bedrock_example is not None:
            model = Path(str(getattr(self._tokenizer, "name_or_path", ""))).name
            line = result_line(self._bedrock_example, self.chosen.system, self.chosen.shown, model, self.trials)
            (folder / RESULTS).write_text(line, encoding="utf-8")

    def load(self, folder: Path, tokenizer: PreTrainedTokenizerBase) -> None:
        self.chosen.load(folder, tokenizer)

    def opening(self) -> list[dict[str, Any]] | None:
        return self.chosen.opening()

    @property
    def warnings(self) -> list[str]:
        return self._notes


def _summary(trials: Sequence[Trial], best: Trial, space: CandidateSpace, chosen: Candidate) -> str:
    tried = {(trial.instruction, trial.examples) for trial in trials}
    empty = [
        trial.value for trial in trials if (trial.instruction, trial.examples) == (0, 0) and trial.count == best.count
    ]
    baseline = f"; that of the empty prompt is {empty[0]:.3f}" if empty else ""
    return (
        f"Of {math.prod(space.shape)} prompts {len(tried)} were tried with {space.questions_used} questions. The "
        f"chosen one has {len(chosen.shown)} examples and the instruction {chosen.system!r}; its score on {best.count} "
        f"validation examples is {best.value:.3f}{baseline}. The score by which a prompt was chosen is biased upwards: "
        f"use that on the test split."
    )
