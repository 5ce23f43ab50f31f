"""The rollout phase of an optimizer step: sample answers, compute rewards and advantages, make batches to train on."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from luthier.api import Advantage, Batch, RewardedAnswers, Rollout, token_sequences
from luthier_reward.advantage_inputs import AdvantageInputs
from luthier_reward.divergence import KLPenalty
from luthier_reward.policy_batches import AnswerSelection, PolicyBatches
from luthier_reward.prompt_groups import Group
from luthier_reward.reward_hacking import sample_rows
from luthier_reward.reward_runner import RewardRunner
from luthier_reward.sampled_answers import greedy_answers, sampled_answers
from luthier_reward.step_context import StepContext


@dataclass(frozen=True, slots=True)
class RolloutSettings:
    """The settings of `method=grpo` that concern the rollout phase, as `Grpo` describes them."""

    group: int
    iterations: int
    resample: int
    mask_truncated: bool
    overlong_tokens: int
    overlong_penalty: float
    samples_every: int
    samples: int
    trains_all: bool
    """Whether answers without an advantage are trained on, as the loss has further terms."""

    def overlong_penalties(self, lengths: Tensor, limit: int) -> Tensor:
        """Soft overlong punishment of answers of these lengths, of at most `limit` tokens (DAPO, equation 13)."""
        if not self.overlong_tokens:
            return torch.zeros(lengths.shape)
        excess = lengths - (limit - self.overlong_tokens)
        return self.overlong_penalty * (excess / self.overlong_tokens).clamp(0, 1)


class RolloutPreparation:
    """Sample `group` answers to each prompt of a step, reward them, and make the batches to train on.

    Sampling depends on the seed, the number of the step and the example only, so that a resumed run samples the same
    answers. Answers without a score are excluded. A group whose advantages are all 0 is not computed, unless the loss
    has further terms, but counts in the mean.
    """

    def __init__(
        self,
        context: Callable[[], StepContext],
        rollout: Rollout,
        rewards: RewardRunner,
        advantage: Advantage,
        inputs: AdvantageInputs,
        kl: KLPenalty,
        settings: RolloutSettings,
    ) -> None:
        self.context, self.rollout, self.rewards, self.settings = context, rollout, rewards, settings
        self.advantage, self.inputs, self.kl = advantage, inputs, kl
        self.seconds = 0.0

    @property
    def visits(self) -> int:
        return self.settings.iterations

    @property
    def needs_old_log_probs(self) -> bool:
        """Whether log π_old of the sampled tokens is computed before the first optimizer step on them."""
        return self.settings.iterations > 1 or self._scores_tokens_first

    @property
    def _scores_tokens_first(self) -> bool:
        """Whether the advantages need log-probabilities or values of the sampled tokens."""
        return self.kl.in_reward or self.inputs.values

    def __call__(self, step: list[Batch], number: int) -> list[Batch]:
        context, began = self.context(), time.perf_counter()
        self.rollout.use(context.model, context.adapted)
        groups = self._sampled(context, [group for batch in step for group in _prompts(context, batch)], number)
        for attempt in range(1, self.settings.resample + 1):
            groups = self._resampled(context, groups, number, attempt)
        self.seconds += time.perf_counter() - began
        sizes = [len(batch.examples) for batch in step]
        batches, advantages = self._batches(context, groups, sizes)
        if number % self.settings.samples_every == 0:
            shown = zip(groups[: self.settings.samples], advantages, strict=False)
            step_number = context.optimizer_step
            rows = [row for group, each in shown for row in sample_rows(group, step_number, each[:, 0].tolist())]
            context.log_samples(rows, step_number)
        return batches

    def take_seconds(self) -> float:
        """Seconds of sampling and rewards since the last call."""
        seconds, self.seconds = self.seconds, 0.0
        return seconds

    def state_dict(self) -> dict[str, Any]:
        return self.rewards.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.rewards.load_state_dict(state)

    def _sampled(self, context: StepContext, groups: Sequence[Group], number: int, attempt: int = 0) -> list[Group]:
        """The groups with `group` answers each, and their rewards."""
        if not groups:
            return []
        count = self.settings.group
        seed = int(np.random.SeedSequence([context.data.seed, number, attempt]).generate_state(1)[0])
        prompts, numbers = [group.prompt_ids for group in groups], [group.example_index for group in groups]
        answers = sampled_answers(self.rollout, context.network, prompts, numbers, count, seed)
        groups = [replace(group, answers=answers[i * count : (i + 1) * count]) for i, group in enumerate(groups)]
        rewards = self.rewards([group.reward_request() for group in groups])
        return [replace(group, rewards=result) for group, result in zip(groups, rewards, strict=True)]

    def _resampled(self, context: StepContext, groups: Sequence[Group], number: int, attempt: int) -> list[Group]:
        """The groups, those whose answers all have the same reward replaced by random prompts of the training split."""
        places = [place for place, group in enumerate(groups) if group.has_equal_rewards]
        blocks, examples = context.data.blocks("train"), context.data.examples("train")
        assert blocks is not None
        generator = np.random.default_rng([context.data.seed, number, attempt, context.rank])
        drawn = []
        for row in generator.integers(blocks.row_count, size=len(places)).tolist():
            index = blocks.example(row)
            ids = np.array(blocks.row(row).sequences[0].ids)
            drawn.append(Group(ids, index, examples[index], resamples=attempt))
        replaced = dict(zip(places, self._sampled(context, drawn, number, attempt), strict=True))
        return [replaced.get(place, group) for place, group in enumerate(groups)]

    def _batches(
        self, context: StepContext, groups: Sequence[Group], sizes: Sequence[int]
    ) -> tuple[list[Batch], Tensor]:
        """One batch for each of `sizes` groups, with the advantages of all groups, float32 [P, G, T]."""
        advantages = None if self._scores_tokens_first else self._advantages(self._rewarded(context, groups))
        selections = self._selections(groups, None if self.settings.trains_all else advantages)
        laid = PolicyBatches([list(itertools.islice(selections, size)) for size in sizes])
        self._add_token_scores(context, laid)
        if advantages is None:
            rewarded = self._rewarded(context, groups, laid)
            advantages = self._advantages(rewarded)
            if rewarded.returns is not None:
                laid.set_token_values("return", rewarded.returns)
        laid.set_token_values("advantage", advantages)
        return laid.batches, advantages

    def _rewarded(
        self, context: StepContext, groups: Sequence[Group], laid: PolicyBatches | None = None
    ) -> RewardedAnswers:
        """The rewards of all answers; with the KL penalties and values of `laid`, where those are known."""
        shape = (len(groups), self.settings.group)
        rewards = torch.tensor([[_or_nan(score) for score in group.rewards.scores] for group in groups]).view(shape)
        lengths = torch.tensor([len(answer.ids) for group in groups for answer in group.answers]).view(shape)
        rewards = rewards - self.settings.overlong_penalties(lengths, self.rollout.max_new_tokens)
        penalties = values = torch.zeros(*shape, int(lengths.max()) if lengths.numel() else 1)
        if laid is not None and self.kl.in_reward:
            penalties = laid.token_values(lambda known: self.kl.penalty(known["old"], known["reference"]), penalties)
        if laid is not None and self.inputs.values:
            values = laid.token_values(lambda known: known["value"], values)
        return RewardedAnswers(
            rewards, penalties, lengths, lambda: self._greedy_rewards(context, groups), lambda: values,
            context.sum_over_ranks,
        )  # fmt: skip

    def _advantages(self, rewarded: RewardedAnswers) -> Tensor:
        """Per token, float32 [P, G, T]."""
        advantages = self.advantage(rewarded)
        return advantages if advantages.dim() == 3 else advantages.unsqueeze(-1).expand_as(rewarded.penalties)

    def _greedy_rewards(self, context: StepContext, groups: Sequence[Group]) -> Tensor:
        """The reward of the greedy answer to each prompt, [P]; without a score, the mean reward of its group."""
        answers = greedy_answers(self.rollout, context.network, [group.prompt_ids for group in groups])
        greedy = [replace(group, answers=[answer]) for group, answer in zip(groups, answers, strict=True)]
        results = self.rewards([group.reward_request() for group in greedy])
        rewards = torch.tensor([_or_nan(result.scores[0]) for result in results])
        means = torch.tensor([[_or_nan(score) for score in group.rewards.scores] for group in groups]).nanmean(-1)
        return torch.where(rewards.isnan(), means, rewards)

    def _selections(self, groups: Sequence[Group], advantages: Tensor | None) -> Iterator[AnswerSelection]:
        """The answers of each group to train on; all that count, or none where `advantages` are all 0."""
        for place, group in enumerate(groups):
            pairs = zip(group.answers, group.rewards.scores, strict=True)
            masks = self.settings.mask_truncated
            counted = [
                index for index, (answer, score) in enumerate(pairs)
                if score is not None and not (masks and answer.finish == "length")
            ]  # fmt: skip
            idle = advantages is not None and not advantages[place][counted].any()
            yield AnswerSelection(place, group, [] if idle else counted, counted)

    def _add_token_scores(self, context: StepContext, laid: PolicyBatches) -> None:
        if not (self.needs_old_log_probs or self.kl.active):
            return
        device = next(context.network.parameters()).device
        for batch in laid.trained():
            for name, values in context.token_scores(batch.to(device)).items():
                batch.extras[name] = values.float().cpu()


def _prompts(context: StepContext, batch: Batch) -> Iterator[Group]:
    examples = context.data.examples("train")
    for sequence, index in zip(token_sequences(batch), batch.examples, strict=True):
        yield Group(sequence.ids, index, examples[index])


def _or_nan(score: float | None) -> float:
    return float("nan") if score is None else score
