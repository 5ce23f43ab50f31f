"""From the prompts of an optimizer step to answers with advantages: what is trained on in their place."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from luthier.api import Batch, RewardedAnswers, collate, scatter_to_tokens, token_sequences, with_supported_prefixes
from luthier_reward.prompt_groups import Group
from luthier_reward.reward_hacking import samples, told
from luthier_reward.reward_runner import RewardRunner

if TYPE_CHECKING:
    from luthier.api import Data
    from luthier_reward.grpo import Grpo

SCALARS = ("weighing", "weighing_tokens")


@dataclass(slots=True)
class Plan:
    """Which answers of a group are trained on, by number; those that count in the mean are `weighing`."""

    group: Group
    chosen: list[int]
    weighing: list[int]


class Rollouts:
    """Have the model answer the prompts of a step, the reward judge the answers, and lay both down to be trained on.

    Chance follows from the seed, the number of the step and the example alone, so that a run that goes on writes the
    same answers again. Answers without a reward are left out; so is a group that nothing can be learnt from, unless
    something beside the advantage is to be trained, and it counts in the mean all the same.
    """

    def __init__(self, method: Grpo) -> None:
        self.method, self.seconds = method, 0.0

    @property
    def visits(self) -> int:
        return self.method.iterations

    @property
    def jury(self) -> RewardRunner:
        return self.method.jury

    def __call__(self, step: list[Batch], number: int) -> list[Batch]:
        method, began = self.method, time.perf_counter()
        method.rollout.use(method.model, method.adapted)
        groups = [list(self._groups(batch)) for batch in step]
        every = [group for of_batch in groups for group in of_batch]
        self._answer(every, number, 0)
        for attempt in range(1, method.resample + 1):
            again = [group for group in every if group.alike]
            self._exchange(again, number, attempt)
            self._answer(again, number, attempt)
        self.seconds = time.perf_counter() - began
        rewarded = self._rewarded(every)
        penalised = method.kl.in_reward or method.needs.values
        advantages = torch.zeros_like(rewarded.penalties) if penalised else self._advantages(rewarded)
        plans = iter(self._plans(every, advantages, everything=penalised or method.trains_all))
        planned = [[next(plans) for _ in of_batch] for of_batch in groups]
        laid = [self._laid(of_batch) for of_batch in planned]
        self._score(laid, planned)
        if penalised:
            self._penalise(rewarded, laid, planned, every)
            advantages = self._advantages(rewarded)
            if rewarded.returns is not None:
                self._lay("return", rewarded.returns, laid, planned, every)
        self._lay("advantage", advantages, laid, planned, every)
        if number % method.samples_every == 0:
            self._tell(every, advantages)
        return laid

    def state_dict(self) -> dict[str, Any]:
        return self.jury.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.jury.load_state_dict(state)

    @property
    def _data(self) -> Data:
        data: Data = self.method.trainer.datamodule  # type: ignore[attr-defined]
        return data

    def _groups(self, batch: Batch) -> Iterable[Group]:
        examples = self._data.examples("train")
        for sequence, number in zip(token_sequences(batch), batch.examples, strict=True):
            yield Group(sequence.ids, number, examples[number])

    def _exchange(self, groups: Sequence[Group], number: int, attempt: int) -> None:
        """Put other prompts of the training split in the place of groups that nothing can be learnt from."""
        blocks, rank = self._data.blocks("train"), self.method.global_rank
        assert blocks is not None
        examples = self._data.examples("train")
        drawn = np.random.default_rng([self._data.seed, number, attempt, rank]).integers(
            blocks.row_count, size=len(groups)
        )
        for group, row in zip(groups, drawn.tolist(), strict=True):
            group.ids, group.number = np.array(blocks.row(row).sequences[0].ids), blocks.example(row)
            group.example, group.tries = examples[group.number], attempt

    def _answer(self, groups: Sequence[Group], number: int, attempt: int) -> None:
        """Write and judge the answers of groups."""
        if not groups:
            return
        method = self.method
        words = np.random.SeedSequence([self._data.seed, number, attempt]).generate_state(1)
        written = method.rollout(
            method.network, [group.ids for group in groups], [group.number for group in groups], method.group,
            int(words[0]),
        )  # fmt: skip
        for place, group in enumerate(groups):
            group.answers = written[place * method.group : (place + 1) * method.group]
        for group, judged in zip(groups, self.jury([group.asked() for group in groups]), strict=True):
            group.judged = judged

    def _rewarded(self, groups: Sequence[Group]) -> RewardedAnswers:
        method = self.method
        shape = (len(groups), method.group)
        scores = [score for group in groups for score in group.judged.scores]
        rewards = torch.tensor([float("nan") if score is None else score for score in scores]).view(shape)
        lengths = torch.tensor([len(answer.ids) for group in groups for answer in group.answers]).view(shape)
        rewards = rewards - method.overlong(lengths)
        longest = int(lengths.max()) if lengths.numel() else 1
        nothing = torch.zeros(*shape, longest)
        return RewardedAnswers(
            rewards, nothing, lengths, lambda: self._greedy(groups), lambda: nothing, method.over_ranks
        )  # fmt: skip

    def _advantages(self, rewarded: RewardedAnswers) -> Tensor:
        """float32 [P, G, T]."""
        found = self.method.advantage(rewarded)
        return found if found.dim() == 3 else found.unsqueeze(-1).expand_as(rewarded.penalties)

    def _greedy(self, groups: Sequence[Group]) -> Tensor:
        """The reward of the likeliest answer to each prompt; where it has none, that of the group's mean."""
        written = self.method.rollout.likeliest(self.method.network, [group.ids for group in groups])
        asked = [Group(g.ids, g.number, g.example, [answer]).asked() for g, answer in zip(groups, written, strict=True)]
        found = torch.tensor([_or_nan(judged.scores[0]) for judged in self.jury(asked)])
        means = torch.tensor([[_or_nan(score) for score in group.judged.scores] for group in groups]).nanmean(-1)
        return torch.where(found.isnan(), means, found)

    def _plans(self, groups: Sequence[Group], advantages: Tensor, *, everything: bool) -> Iterable[Plan]:
        for group, each in zip(groups, advantages, strict=True):
            pairs = zip(group.answers, group.judged.scores, strict=True)
            cut = self.method.mask_truncated
            weighing = [
                number for number, (answer, score) in enumerate(pairs)
                if score is not None and not (cut and answer.finish == "length")
            ]  # fmt: skip
            idle = not everything and not each[weighing].any()
            yield Plan(group, [] if idle else weighing, weighing)

    def _laid(self, plans: Sequence[Plan]) -> Batch:
        """The answers of a micro-batch, with what the loss needs of each group and how likely each token was drawn."""
        rows = []
        for plan in plans:
            weighing = [len(plan.group.answers[number].ids) for number in plan.weighing]
            values = {**told(plan.group), "weighing": float(len(weighing)), "weighing_tokens": float(sum(weighing))}
            rows.append(plan.group.row(plan.chosen, values))
        batch = collate([rows], examples=[plan.group.number for plan in plans])
        batch = with_supported_prefixes(batch, self.method.network, self.method.warnings)
        answers = [
            plan.group.answers[number] if plan.chosen else None for plan in plans for number in plan.chosen or [0]
        ]
        batch.extras["answer"] = scatter_to_tokens(
            [torch.full((len(answer.ids) if answer else 0,), place) for place, answer in enumerate(answers)], batch
        )
        batch.extras["drawn"] = scatter_to_tokens(
            [torch.tensor(answer.sampling_logprobs if answer else []) for answer in answers], batch
        )
        return batch

    def _score(self, laid: Sequence[Batch], planned: Sequence[Sequence[Plan]]) -> None:
        """Beside each token, what the network and the one of the beginning say of it now, where that is needed."""
        method = self.method
        if not (method.needs_old or method.kl.wanted or method.needs.values):
            return
        device = next(method.network.parameters()).device
        for batch, plans in zip(laid, planned, strict=True):
            if any(plan.chosen for plan in plans):
                for name, values in method.scored(batch.to(device)).items():
                    batch.extras[name] = values.float().cpu()

    def _penalise(
        self,
        rewarded: RewardedAnswers,
        laid: Sequence[Batch],
        planned: Sequence[Sequence[Plan]],
        every: Sequence[Group],
    ) -> None:
        """Take the KL penalties from the rewards, and have the values at hand."""
        kl, values = self.method.kl, torch.zeros_like(rewarded.penalties)
        for batch, place, number, where in _places(laid, planned, every):
            if kl.in_reward:
                old, reference = (batch.extras[name].flatten()[where] for name in ("old", "reference"))
                rewarded.penalties[place, number, : len(old)] = kl.penalty(old, reference)
            if self.method.needs.values:
                expected = batch.extras["value"].flatten()[where]
                values[place, number, : len(expected)] = expected
        rewarded.values = lambda: values

    def _lay(
        self,
        name: str,
        values: Tensor,
        laid: Sequence[Batch],
        planned: Sequence[Sequence[Plan]],
        every: Sequence[Group],
    ) -> None:
        """Values [P, G, T] beside the tokens they belong to."""
        for batch in laid:
            batch.extras[name] = torch.zeros(batch.input_ids.shape)
        for batch, place, number, where in _places(laid, planned, every):
            batch.extras[name].view(-1)[where] = values[place, number, : len(where)]

    def _tell(self, groups: Sequence[Group], advantages: Tensor) -> None:
        step = self.method.trainer.global_step + 1
        rows = [row for group, each in zip(groups[: self.method.samples], advantages, strict=False)
                for row in samples(group, step, each[:, 0].tolist())]  # fmt: skip
        self.method.tell(rows, step)


def _places(
    laid: Sequence[Batch], planned: Sequence[Sequence[Plan]], every: Sequence[Group]
) -> Iterable[tuple[Batch, int, int, Tensor]]:
    """Of each answer that is trained on: its batch, its prompt's and its own number, its tokens' flat places there."""
    numbers = {id(group): place for place, group in enumerate(every)}
    for batch, plans in zip(laid, planned, strict=True):
        ends = iter(batch.sequence_numbers)
        for plan in plans:
            for number in plan.chosen or (None,):
                stop = batch.boundaries[next(ends) + 1] - 1
                if number is not None:
                    length = len(plan.group.answers[number].ids)
                    yield batch, numbers[id(plan.group)], number, torch.arange(stop - length, stop)


def _or_nan(score: float | None) -> float:
    return float("nan") if score is None else score
