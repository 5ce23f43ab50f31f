"""Group relative policy optimization, and the policy-gradient methods that share its loop."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from luthier.api import (
    Adaptation,
    Advantage,
    Batch,
    DataError,
    Example,
    LanguageModelMethod,
    Loss,
    Model,
    Optimizer,
    PolicyLoss,
    PolicyTokens,
    ReadingReward,
    RecipeError,
    Reward,
    Rollout,
    Row,
    TokenSequence,
    column_of,
    encode_prompt,
    evaluation_mode,
    misreturned,
    prompt_of,
    shifted_targets,
    token_sequences,
    unwrapped,
)
from luthier_reward import held_out
from luthier_reward.advantage_inputs import advantage_inputs
from luthier_reward.divergence import KLPenalty
from luthier_reward.policy_batches import COUNTED_ANSWERS, COUNTED_TOKENS, ROLLOUT_LOG_PROBS
from luthier_reward.reference_policy import ReferencePolicy
from luthier_reward.reward_hacking import group_metrics, token_metrics
from luthier_reward.reward_runner import RewardRunner
from luthier_reward.rollout_log import RolloutLog, SampleLogger
from luthier_reward.rollout_preparation import RolloutPreparation, RolloutSettings
from luthier_reward.step_context import StepContext
from luthier_reward.value_head import ValueHead

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Grpo(LanguageModelMethod):
    """Sample `group` answers to each prompt, reward them, and train on their advantages (Shao et al., 2024).

    The answers to a step's prompts are sampled once and trained on for `iterations` optimizer steps, against the
    log-probabilities of the policy that sampled them. The rollout/trainer mismatch is corrected by truncated importance
    sampling with the cap `correction` (0: no correction). `entropy` is the weight of the entropy bonus, `value` that of
    the value loss, for advantages with a value head. `mask_truncated` excludes answers that reached the token limit;
    over the last `overlong_tokens` before the limit the reward falls by up to `overlong_penalty` (DAPO, Yu et al.,
    2025, equation 13). A group whose answers all have the same reward is replaced by another prompt, up to `resample`
    times.

    Rewards are computed with a limit of `reward_timeout` seconds and `reward_retries` retries, for `reward_workers`
    prompts at once; an example with `quarantine` faults is not scored any more, and the run ends where the share of
    answers without a score exceeds `most_faults`. Every `samples_every` steps the answers to `samples` prompts are
    written to rollouts.jsonl and the trackers.
    """

    likelihood = False
    value_head: ValueHead | None

    def __init__(
        self,
        model: Model,
        adaptation: Adaptation,
        optimizer: Optimizer,
        *,
        objective: PolicyLoss,
        advantage: Advantage,
        reward: Reward,
        kl: KLPenalty,
        rollout: Rollout,
        group: int = 8,
        iterations: int = 1,
        entropy: float = 0.0,
        value: float = 0.5,
        correction: float = 2.0,
        mask_truncated: bool = False,
        overlong_tokens: int = 0,
        overlong_penalty: float = 1.0,
        resample: int = 0,
        reward_timeout: float = 30.0,
        reward_retries: int = 1,
        reward_workers: int = 1,
        quarantine: int = 2,
        most_faults: float = 0.05,
        samples_every: int = 10,
        samples: int = 2,
    ) -> None:
        super().__init__(model, adaptation, optimizer)
        for name, count in (("group", group), ("iterations", iterations), ("samples_every", samples_every)):
            if count < 1:
                raise RecipeError(f"method.{name} is {count}.", where=f"method.{name}", hint="Use 1 or more.")
        self.objective, self.kl, self.rollout = objective, kl, rollout
        self.entropy_weight, self.value_weight, self.correction = entropy, value, correction
        self.advantage_inputs = advantage_inputs(advantage)
        self.measures = held_out.measures(reward)
        columns = list(reward.columns) if isinstance(reward, ReadingReward) else []
        self.reward_columns = json.dumps(columns)  # a plain value, so that encoded data is cached by it
        self.register_module("value_head", None)
        self.reward_runner = RewardRunner(
            reward, timeout=reward_timeout, retries=reward_retries, quarantine=quarantine, max_faults=most_faults,
            workers=reward_workers,
        )  # fmt: skip
        self.reference_policy = ReferencePolicy(adaptation, model.network, rollout.temperature)
        settings = RolloutSettings(
            group, iterations, resample, mask_truncated, overlong_tokens, overlong_penalty, samples_every, samples,
            trains_all=kl.in_loss or entropy != 0,
        )  # fmt: skip
        self.rollouts = RolloutPreparation(
            self._step_context, rollout, self.reward_runner, advantage, self.advantage_inputs, kl, settings
        )
        self.preparation = self.rollouts
        self._rollout_log = RolloutLog()

    def configure_model(self) -> None:
        """Load and adapt the network, and add a value head where the advantage reads its predictions."""
        super().configure_model()
        self.head = self.head.at_temperature(self.rollout.temperature)
        if self.advantage_inputs.values and self.value_head is None:
            config: Any = unwrapped(self.network).config.get_text_config()  # type: ignore[operator, union-attr]
            self.value_head = ValueHead(config.hidden_size)

    def trainable_weights(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Those of the network, and of the value head."""
        yield from super().trainable_weights()
        if self.value_head is not None:
            yield from self.value_head.named_parameters("value_head")

    def encode(self, example: Example, tokenizer: PreTrainedTokenizerBase) -> Row:
        """The prompt up to the beginning of the answer; a reference answer in the data is read by the reward only."""
        messages = prompt_of(example)
        if not messages:
            raise DataError(
                f"{type(self).__name__} answers prompts, and the example has no message to be answered.",
                hint="Use data whose examples have messages, such as data.format=prompt_completion.",
            )
        for column in json.loads(self.reward_columns):
            column_of(example, column, setting="method.reward.column")
        ids = encode_prompt({**example, "messages": messages}, tokenizer)
        return Row((TokenSequence(ids, np.zeros(len(ids), np.float32)),), prompt_only=True)

    def loss(self, batch: Batch) -> Loss:
        """The policy loss of the batch's answers; the weight includes answers that are left out with advantage 0."""
        targets, weights = shifted_targets(batch)
        predicted = weights.nonzero().flatten()
        hidden = self.hidden_states(batch).flatten(0, 1)
        states, statistics = hidden[predicted], batch.values
        log_probs = self.head.log_probs(states, targets[predicted])
        known = {name: values.flatten()[predicted] for name, values in batch.extras.items()}
        zeros = log_probs.detach() * 0
        old = known.get("old", log_probs.detach())
        rollout = known.get(ROLLOUT_LOG_PROBS, zeros)
        importance = (old - rollout).exp().clamp(max=self.correction) if self.correction else zeros + 1
        answer_count, token_count = (
            statistics[name].sum() if statistics else zeros.sum() for name in (COUNTED_ANSWERS, COUNTED_TOKENS)
        )
        tokens = PolicyTokens(
            log_probs, old, known.get("advantage", zeros), known.get("answer", zeros).long(), importance,
            self._penalties(states, log_probs, known), answer_count, token_count, self.rollout.max_new_tokens,
        )  # fmt: skip
        total, weight = _sum_and_weight(self.objective, tokens)
        reference = known.get("reference", log_probs.detach()) if self.kl.active else None
        metrics = group_metrics(statistics, zeros.sum()) | token_metrics(tokens, rollout, reference)
        return Loss(total + 0 * hidden.sum(), weight, metrics)

    def on_train_start(self) -> None:
        if self.trainer.is_global_zero:
            self._rollout_log.open(self.trainer.default_root_dir, self.trainer.global_step)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        super().on_before_optimizer_step(optimizer)
        self.step_metrics["rollout_seconds"] = torch.tensor(self.rollouts.take_seconds())

    def on_train_end(self) -> None:
        self._rollout_log.close()
        self.reward_runner.close()
        self.reward_runner.refuse_without_scores()
        self.facts |= self.reward_runner.facts()
        if self.kl.active:
            self.facts["Reference"] = self.reference_policy.description
        self.warnings += self.reward_runner.warnings()

    def validation_step(self, batch: Batch, index: int) -> None:
        """The mean reward of greedy answers to held-out prompts."""
        examples = self.trainer.datamodule.examples("validation")  # type: ignore[attr-defined]
        statistics = self._greedy_statistics(
            [sequence.ids for sequence in token_sequences(batch)], [examples[number] for number in batch.examples]
        )
        sums = {name: torch.from_numpy(values.sum(0)).float() for name, values in statistics.items()}
        loss = sums.pop("loss")
        self._held_out.add(Loss(loss[0], loss[1], {name: (total[0], total[1]) for name, total in sums.items()}))

    def measured_of(self, examples: Sequence[Example], rows: Sequence[Row]) -> dict[str, NDArray[np.float64]]:
        """The reward of the greedy answer to each prompt, its length, and whether the reward can parse it."""
        return self._greedy_statistics([row.sequences[0].ids for row in rows], examples)

    def _greedy_statistics(
        self, prompts: Sequence[NDArray[np.int32]], examples: Sequence[Example]
    ) -> dict[str, NDArray[np.float64]]:
        self.rollout.use(self.model, self.adapted)
        known = held_out.greedy_statistics(self.network, prompts, examples, self.rollout, self.reward_runner)
        self.reward_runner.refuse_without_scores()
        return {name: values for name, values in known.items() if name in {"loss", *self.measures}}

    def _penalties(self, hidden: Tensor, log_probs: Tensor, known: Mapping[str, Tensor]) -> Tensor:
        """KL penalty, entropy bonus and value loss of each token, [n]."""
        penalties = log_probs * 0
        if self.kl.in_loss and "reference" in known:
            penalties = penalties + self.kl.penalty(log_probs, known["reference"])
        if self.entropy_weight:
            penalties = penalties - self.entropy_weight * self.head.entropies(hidden)
        if self.value_head is not None:
            returns = known.get("return", log_probs.detach() * 0)
            penalties = penalties + self.value_weight / 2 * (self.value_head(hidden) - returns).square()
        return penalties

    def _step_context(self) -> StepContext:
        trainer: Any = self.trainer
        return StepContext(
            self.network, self.model, self.adapted, trainer.datamodule, self.global_rank, trainer.global_step + 1,
            self._sum_over_ranks, self._token_scores, self._log_samples, self.warnings,
        )  # fmt: skip

    def _token_scores(self, batch: Batch) -> dict[str, Tensor]:
        """Per token before training, float32 [B, T]: log-probabilities `old` and `reference`, and `value`."""
        scores: dict[str, Tensor] = {}
        targets, weights = shifted_targets(batch)
        predicted = weights.nonzero().flatten()

        def placed(values: Tensor) -> Tensor:
            flat = values.new_zeros(len(targets)).index_copy(0, predicted, values)
            return flat.view(batch.input_ids.shape)

        with evaluation_mode(self.network), self.trainer.precision_plugin.forward_context():
            if self.rollouts.needs_old_log_probs:
                states = self.hidden_states(batch).flatten(0, 1)[predicted]
                scores["old"] = placed(self.head.log_probs(states, targets[predicted]))
                if self.value_head is not None:  # an advantage that reads values needs the old ones, too
                    scores["value"] = placed(self.value_head(states))
            if self.kl.active:
                scores["reference"] = self.reference_policy.log_probs(self.network, self.head, batch)
        return scores

    def _sum_over_ranks(self, values: Tensor) -> Tensor:
        if self.trainer.world_size == 1:
            return values
        total = self.trainer.strategy.reduce(values.to(self.trainer.strategy.root_device), reduce_op="sum")
        assert isinstance(total, Tensor)
        return total.cpu()

    def _log_samples(self, rows: list[dict[str, Any]], step: int) -> None:
        if self.trainer.is_global_zero:
            self._rollout_log.write(rows)
            for logger in self.trainer.loggers:
                if isinstance(logger, SampleLogger):
                    logger.log_samples(rows, step)


def _sum_and_weight(objective: PolicyLoss, tokens: PolicyTokens) -> tuple[Tensor, Tensor]:
    made = objective(tokens)
    if not isinstance(made, (tuple, list)) or [getattr(one, "shape", None) for one in made] != [(), ()]:
        shapes = (
            [list(one.shape) if isinstance(one, Tensor) else one for one in made] if isinstance(made, tuple) else made
        )
        raise misreturned(objective, "two scalar tensors, the sum of the loss and its weight", shapes)
    return made[0], made[1]
