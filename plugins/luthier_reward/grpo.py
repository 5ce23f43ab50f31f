"""Learn from rewards on the model's own answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

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
    RecipeError,
    Reward,
    Row,
    TokenSequence,
    encode_prompt,
    prompt_of,
    shifted_targets,
    token_sequences,
    unwrapped,
)
from luthier_reward import held_out
from luthier_reward import reward_hacking as watch
from luthier_reward.advantages import needs
from luthier_reward.divergence import Divergence
from luthier_reward.reference_policy import ReferencePolicy, predicted
from luthier_reward.reward_runner import RewardRunner
from luthier_reward.rollout import Rollout
from luthier_reward.rollout_log import SampleFile
from luthier_reward.rollouts import Rollouts
from luthier_reward.value_head import ValueHead

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Grpo(LanguageModelMethod):
    """Write `group` answers to each prompt, reward them, and make those more likely that beat what was expected.

    A step of the data is answered once and trained on `iterations` times, with the log-probabilities of then. Where the
    answers were drawn by other probabilities than the trainer's, losses are multiplied by the ratio of the two, cut off
    at `correction` (0: not at all). `entropy` is the weight of the entropy bonus, `value` that of the value head's
    error, for the advantages that ask for one. `mask_truncated` leaves out answers that ran out of tokens; within the
    last `overlong_tokens` of what an answer may have its reward falls by up to `overlong_penalty` (DAPO, Yu et al.,
    2025, equation 13). A group whose answers all have the same reward is exchanged for another prompt `resample` times.

    The reward is asked with a limit of `reward_timeout` seconds and `reward_retries` further tries, `reward_workers`
    prompts at once; an example with `quarantine` faults is asked no more, and the run ends where more than the share
    `most_faults` of the answers has no reward. Every `samples_every` steps the answers to `samples` prompts go to
    rollouts.jsonl and to the trackers.
    """

    likelihood = False

    def __init__(
        self,
        model: Model,
        adaptation: Adaptation,
        optimizer: Optimizer,
        *,
        objective: PolicyLoss,
        advantage: Advantage,
        reward: Reward,
        kl: Divergence,
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
        for name, given in (("group", group), ("iterations", iterations), ("samples_every", samples_every)):
            if given < 1:
                raise RecipeError(f"method.{name} is {given}.", where=f"method.{name}", hint="Use 1 or more.")
        self.objective, self.advantage, self.reward, self.kl, self.rollout = objective, advantage, reward, kl, rollout
        self.group, self.iterations, self.resample = group, iterations, resample
        self.entropy_weight, self.value_weight, self.correction = entropy, value, correction
        self.mask_truncated = mask_truncated
        self.overlong_tokens, self.overlong_penalty = overlong_tokens, overlong_penalty
        self.samples_every, self.samples = samples_every, samples
        self.needs = needs(advantage)
        self.measures = held_out.measures(reward)
        self.jury = RewardRunner(
            reward, timeout=reward_timeout, retries=reward_retries, quarantine=quarantine, most=most_faults,
            workers=reward_workers,
        )  # fmt: skip
        self.preparation = self.rollouts = Rollouts(self)
        self.anchor = ReferencePolicy(adaptation, model.network, rollout.temperature)
        self._samples = SampleFile()

    @property
    def needs_old(self) -> bool:
        """Whether the log-probabilities of the answers must be known before the first step on them."""
        return self.iterations > 1 or self.kl.in_reward or self.needs.values

    @property
    def trains_all(self) -> bool:
        """Whether an answer is to be trained on that has no advantage."""
        return self.kl.in_loss or self.entropy_weight != 0

    def configure_model(self) -> None:
        """Load and adapt; put a value head beside the network where the advantage asks for one."""
        super().configure_model()
        self.head = self.head.at_temperature(self.rollout.temperature)
        if self.needs.values and not hasattr(self, "value_head"):
            config: Any = unwrapped(self.network).config.get_text_config()  # type: ignore[operator, union-attr]
            self.value_head = ValueHead(config.hidden_size)

    def configure_optimizers(self) -> Any:
        trainable = [(name, weight) for name, weight in self.network.named_parameters() if weight.requires_grad]
        if self.needs.values:
            trainable += [(f"value_head.{name}", weight) for name, weight in self.value_head.named_parameters()]
        return self.optimizer(trainable, self.steps, self.rate)

    def encode(self, example: Example, tokenizer: PreTrainedTokenizerBase) -> Row:
        """The prompt, up to where the model's answer begins; what the data itself answers is for the reward."""
        messages = prompt_of(example)
        if not messages:
            raise DataError(
                f"{type(self).__name__} answers prompts, and the example has no message to be answered.",
                hint="Use data whose examples have messages, such as data.format=prompt_completion.",
            )
        ids = encode_prompt({**example, "messages": messages}, tokenizer)
        return Row((TokenSequence(ids, np.zeros(len(ids), np.float32)),), prompt_only=True)

    def loss(self, batch: Batch) -> Loss:
        """The objective of the batch's answers; the weight counts those that nothing could be learnt from, too."""
        targets, weights = shifted_targets(batch)
        where = weights.nonzero().flatten()
        hidden = self.hidden_states(batch).flatten(0, 1)
        at, names = hidden[where], batch.values
        log_probs = self.head.log_probs(at, targets[where])
        beside = {name: values.flatten()[where] for name, values in batch.extras.items()}
        nothing = log_probs.detach() * 0
        old = beside.get("old", log_probs.detach())
        drawn = beside.get("drawn", nothing)
        correction = (old - drawn).exp().clamp(max=self.correction) if self.correction else nothing + 1
        answers = names["weighing"].sum() if names else nothing.sum()
        count = names["weighing_tokens"].sum() if names else nothing.sum()
        tokens = PolicyTokens(
            log_probs, old, beside.get("advantage", nothing), beside.get("answer", nothing).long(), correction,
            self._penalties(at, log_probs, beside), answers, count, self.rollout.max_new_tokens,
        )  # fmt: skip
        total, weight = self.objective(tokens)
        told = watch.of_groups(names, nothing.sum()) | watch.of_tokens(
            tokens, drawn, beside.get("reference", log_probs.detach()) if self.kl.wanted else None
        )
        return Loss(total + 0 * hidden.sum(), weight, told)

    def scored(self, batch: Batch) -> dict[str, Tensor]:
        """What is to be remembered of each token before training: `old`, `reference` and `value`, [B, T]."""
        found: dict[str, Tensor] = {}
        where = shifted_targets(batch)[1].nonzero().flatten()
        training = self.network.training
        self.network.eval()
        try:
            with torch.no_grad(), self.trainer.precision_plugin.forward_context():
                if self.needs_old:
                    found["old"] = predicted(self.network, self.head, batch)
                if self.needs.values:
                    found["value"] = self.value_head(self.hidden_states(batch).flatten(0, 1)[where])
                if self.kl.wanted:
                    found["reference"] = self.anchor.log_probs(self.network, self.head, batch)
        finally:
            self.network.train(training)
        laid = batch.input_ids.new_zeros(batch.input_ids.numel(), dtype=torch.float32)
        return {
            name: laid.index_copy(0, where, flat.float()).view(batch.input_ids.shape) for name, flat in found.items()
        }

    def overlong(self, lengths: Tensor) -> Tensor:
        """What is taken from the reward of answers of those lengths, as they come near the end of their room."""
        if not self.overlong_tokens:
            return torch.zeros(lengths.shape)
        begun = lengths - (self.rollout.max_new_tokens - self.overlong_tokens)
        return self.overlong_penalty * (begun / self.overlong_tokens).clamp(0, 1)

    def over_ranks(self, values: Tensor) -> Tensor:
        """Added up over all devices."""
        if self.trainer.world_size == 1:
            return values
        added = self.trainer.strategy.reduce(values.to(self.trainer.strategy.root_device), reduce_op="sum")
        assert isinstance(added, Tensor)
        return added.cpu()

    def tell(self, rows: list[dict[str, Any]], step: int) -> None:
        """Rows of a table of samples, for rollouts.jsonl and the trackers."""
        if self.trainer.is_global_zero:
            self._samples.write(rows)
            for logger in self.trainer.loggers:
                if hasattr(logger, "log_samples"):
                    logger.log_samples(rows, step)

    def on_train_start(self) -> None:
        if self.trainer.is_global_zero:
            self._samples.open(self.trainer.default_root_dir, self.trainer.global_step)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        super().on_before_optimizer_step(optimizer)
        self.step_metrics["rollout_seconds"] = torch.tensor(self.rollouts.seconds)
        self.rollouts.seconds = 0.0

    def on_train_end(self) -> None:
        self._samples.close()
        self.jury.close()
        self.facts |= self.jury.facts()
        if self.kl.wanted:
            self.facts["Reference"] = self.anchor.said
        self.warnings += self.jury.warnings()

    def validation_step(self, batch: Batch, index: int) -> None:
        """The mean reward of the likeliest answers to held-out prompts."""
        examples = self.trainer.datamodule.examples("validation")  # type: ignore[attr-defined]
        found = self._judged(
            [each.ids for each in token_sequences(batch)], [examples[number] for number in batch.examples]
        )
        pairs = {name: torch.from_numpy(values.sum(0)).float() for name, values in found.items()}
        told = {name: (total[0], total[1]) for name, total in pairs.items() if name != "loss"}
        self._held_out.add(Loss(pairs["loss"][0], pairs["loss"][1], told))

    def measured_of(self, examples: Sequence[Example], rows: Sequence[Row]) -> dict[str, NDArray[np.float64]]:
        """The reward of the likeliest answer to each prompt, its length, and whether the reward could read it."""
        return self._judged([row.sequences[0].ids for row in rows], examples)

    def _judged(self, prompts: Sequence[NDArray[np.int32]], examples: Sequence[Example]) -> dict[str, Any]:
        self.rollout.use(self.model, self.adapted)
        found = held_out.judged(self.network, prompts, examples, self.rollout, self.jury)
        return {name: values for name, values in found.items() if name in {"loss", *self.measures}}

    def _penalties(self, hidden: Tensor, log_probs: Tensor, beside: Mapping[str, Tensor]) -> Tensor:
        """What each token costs beside the objective, [n]."""
        found = log_probs * 0
        if self.kl.in_loss and "reference" in beside:
            found = found + self.kl.penalty(log_probs, beside["reference"])
        if self.entropy_weight:
            found = found - self.entropy_weight * self.head.entropies(hidden)
        if self.needs.values:
            expected = beside.get("return", log_probs.detach() * 0)
            found = found + self.value_weight / 2 * (self.value_head(hidden) - expected).square()
        return found
