"""The base of training methods: a method is how an example is encoded and the loss of a batch."""

from __future__ import annotations

import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from luthier.contracts.adaptation import Adaptation
from luthier.contracts.batch import Batch, Row
from luthier.contracts.examples import Example
from luthier.contracts.model import LoadedModel, Model
from luthier.contracts.training import Loss, Measure, Optimizer, Preparation
from luthier.data.collate import collate
from luthier.models.added_tokens import adapt
from luthier.models.experts.balance import balancing_coefficient
from luthier.models.experts.description import describe_experts, describe_left_out
from luthier.models.experts.layers import mixture_layers
from luthier.models.modalities import check_gradients
from luthier.plugins.returned import misreturned, returned
from luthier.training import shards
from luthier.training.mixture import Mixture

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from luthier.contracts.predictor import Predictor
    from luthier.contracts.report_section import ReportSection

log = logging.getLogger("luthier")
NO_WEIGHT = torch.finfo(torch.float32).tiny
"""What sums without weight are divided by, instead of 0."""
CLIP_EPSILON = 1e-6
"""What torch adds to a norm before it divides by it."""


class Method(pl.LightningModule, ABC):
    """Train an adapted network on batches of rows.

    `loss` gives a sum and its weight. Gradients of sums are accumulated over micro-batches and ranks and divided once,
    by the weight of the whole optimizer step: how a batch is cut does not change the update.

    `model` gives the network, `adaptation` chooses the weights that move, `optimizer` moves them.

    - *Given*: positional parameters `model`, `adaptation`, `optimizer`; `encode` an example and the tokenizer;
      `loss` a `Batch` on the device of the network, whose tensors are described there.
    - *Returns*: `encode` a `Row` of int32 ids and float32 weights; `loss` a `Loss`: the sum over the batch, with
      its graph, and the weight to divide it by, two scalars, so that no cut of a batch changes the update.
      `metrics` of a loss are pairs like it.
    - *Called*: `encode` once for each example, before training, possibly in another process; its result is cached
      by the settings and the code of the method and its nested parts. `loss` for each micro-batch and each held-out
      batch; `measured_of` when the run is measured.
    - *Ranks*: `loss` on every rank with its own batches, which must call collective operations alike; `measured_of`
      on every rank with its share of the examples.
    - *Raises*: DataError of `encode` for an example without what it needs (the run ends, or leaves it out, as
      `data.on_bad_row` says); RecipeError of the constructor for settings that cannot be. Anything else is a fault
      of the method.
    - *Resume*: weights, optimizer and order of the data are restored by luthier. What else changes while it trains
      is a buffer, or stands in `state_dict` of its `preparation`; random numbers follow from the seed and the step.
    - *Nested*: a keyword-only parameter filled by an answer of its own folder: `objective: mine` in the defaults of
      the option file, answered by `method/objective/mine.yaml`.
    """

    likelihood = True
    """Whether `losses` are -log p of the tokens, so that their exponential is a perplexity.

    Say False for any other loss: the report, the figures and the card of its runs then have no perplexity.
    """
    trains_likelihood = True
    """Whether the training loss is -log p of each token, too; it may differ from the loss that is measured."""
    is_generative = True
    """Whether the network is a causal language model: it generates text and has a loss on general text."""
    reads_texts_apart = False
    """Whether `encode` cuts each text to what the model reads, so that a block of several may be longer than that."""
    measures: Mapping[str, Measure] = {}
    """What `measured` gives statistics of beside the loss, by name, and how each becomes a value with an interval."""
    balances_experts = False
    """Whether the method adds the load-balancing loss of mixtures of experts to its own."""
    router_aux_loss_coef: float | None = None
    """The coefficient of that loss; None is the architecture's own where routers are trained, and none where not."""
    mixture: Mixture | None = None
    """The load of experts in this training; None for a dense network."""
    expert_loads: Mapping[str, Sequence[float]] = {}
    """After training: the tokens that each expert of a layer was given, by the layer's name."""
    preparation: Preparation | None = None
    """Transforms the batches of a step before training on them, such as by rollouts; None leaves them as they are."""

    resumable: tuple[str, ...] = ()
    """The settings that may change where a training goes on from a checkpoint: those that change no loss."""

    before_update: Callable[[float], None] | None = None
    """Is told the loss of each optimizer step before its update, and may take its gradients away."""

    network: nn.Module
    """None before `load` and after `unload`."""

    def __init__(self, model: Model, adaptation: Adaptation, optimizer: Optimizer) -> None:
        super().__init__()
        self.model, self.adaptation, self.optimizer = model, adaptation, optimizer
        self.register_module("network", None)
        self.adapted = False  # whether `network` went through the adaptation
        self.steps = 0  # optimizer steps of the whole run, set before training
        self.warnings: list[str] = []  # what somebody should see in the report, a sentence each
        self.sections: list[ReportSection] = []  # of the report, before those of plugins
        self.facts: dict[str, str] = {}  # what the report shows of the method's own cost, by name
        self._step, self._held_out = _Totals(), _Totals()
        self.step_loss = torch.zeros(())  # the mean loss of the latest optimizer step, over all ranks
        self.step_metrics: dict[str, Tensor] = {}  # the means of its metrics, by name
        self.gradient_norm = torch.zeros(())  # of its gradient, before clipping

    @abstractmethod
    def encode(self, example: Example, tokenizer: PreTrainedTokenizerBase) -> Row:
        """Encode an example: token ids, and the loss weight of predicting each."""

    @abstractmethod
    def loss(self, batch: Batch) -> Loss:
        """The sum of the loss over a batch, and the weight to divide it by."""

    def _checked_loss(self, batch: Batch) -> Loss:
        loss = returned(self.loss(batch), Loss, self.loss)
        for name, value in (("sum", loss.sum), ("weight", loss.weight)):
            if not isinstance(value, Tensor) or value.numel() != 1:
                shown = f"one of shape {list(value.shape)}" if isinstance(value, Tensor) else ""
                raise misreturned(self.loss, f"a Loss whose {name} is a scalar tensor", value, shown=shown)
        return loss

    def losses(self, rows: Sequence[Row]) -> NDArray[np.float64]:
        """The loss of each row as (sum, weight), [rows, 2], without gradients; one forward pass each."""
        found = np.zeros((len(rows), 2))
        with torch.no_grad():
            for number, row in enumerate(rows):
                loss = self._checked_loss(collate([[row]]).to(next(self.network.parameters()).device))
                found[number] = float(loss.sum), float(loss.weight)
        return found

    def measured(self, rows: Sequence[Row]) -> dict[str, NDArray[np.float64]]:
        """The statistics of each row, [rows, s]: `loss` as `losses` gives it, and those of `measures`."""
        return {"loss": self.losses(rows)}

    def measured_of(self, examples: Sequence[Example], rows: Sequence[Row]) -> dict[str, NDArray[np.float64]]:
        """`measured` of the rows that these examples were encoded to; for methods that look at the examples too."""
        return self.measured(rows)

    def memory(self, rows: int) -> dict[str, int]:
        """Bytes that the method keeps beside the network for so many rows of data, by name; for `luthier plan`."""
        return {}

    def learn(self, examples: Mapping[str, Sequence[Example]]) -> Any:
        """See the examples of each split, before any is encoded and before a network is loaded.

        What is returned, as JSON, must say all that `encode` learned from them: encoded data is cached by it.
        """
        return None

    def finish(self, predictor: Predictor, examples: Mapping[str, Sequence[Example]]) -> Mapping[str, Any]:
        """What the manifest of the artifact says of the trained network, as JSON, such as a calibration.

        Called once, on the first rank, when everything is trained and measured; `examples` are those of each split. It
        may add to `sections` and `warnings`.
        """
        return {}

    def recall(self, manifest: Mapping[str, Any]) -> None:
        """Know what `finish` said in the manifest of a run that is measured again; called before anything is read."""

    @property
    def is_loaded(self) -> bool:
        """Whether there is a network."""
        return self._modules["network"] is not None

    def unload(self) -> None:
        """Release the network."""
        self.register_module("network", None)
        self.adapted, self.mixture = False, None

    def describe(self, network: nn.Module) -> dict[str, str]:
        """What a plan and the report say of an adapted network beside the number of its weights, by name.

        RecipeError where the method cannot train it.
        """
        facts = describe_experts(network)
        if facts:
            facts["Load-balancing loss"] = balancing_coefficient(self, network).description
        elif self.router_aux_loss_coef:
            balancing_coefficient(self, network)
        return {**facts, **describe_left_out(network)}

    def load(self) -> None:
        """Load the network of the model, not adapted yet."""
        self.network, self.adapted = returned(self.model.network(), nn.Module, self.model.network), False

    def configure_model(self) -> None:
        """Load and adapt inside the strategy's context, so that sharding composes with every adaptation."""
        if not self.is_loaded:
            self.load()
        if not self.adapted:
            self.network = adapt(self.adaptation, LoadedModel.of(self.model, self.network))
            self.adapted = True
            if warning := check_gradients(self.network):
                log.warning(warning)
                self.warnings.append(warning)
            self.facts |= self.describe(self.network)
            if mixture_layers(self.network):
                self.mixture = Mixture(self.network, balancing_coefficient(self, self.network).value)
            self.network.train()

    def take(self, network: nn.Module) -> None:
        """Use a network that was adapted and trained before."""
        self.network, self.adapted = network, True

    def begin_step(self) -> None:
        """Forget what a step has added up that is not made to its end."""
        self._step = _Totals()

    def trainable_weights(self) -> Iterator[tuple[str, nn.Parameter]]:
        """The name of each weight that the optimizer moves; a method adds those that stand beside the network."""
        return ((name, weight) for name, weight in self.network.named_parameters() if weight.requires_grad)

    def configure_optimizers(self) -> Any:
        """What `optimizer` gives for the trainable weights, as Lightning wants it."""
        weights = list(self.trainable_weights())
        made = self.optimizer(list(weights), self.steps, self.rate)
        optimizer = made.get("optimizer") if isinstance(made, dict) else made
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise misreturned(self.optimizer, "a torch optimizer, or a dict with one as `optimizer`", made)
        moved = {id(weight) for group in optimizer.param_groups for weight in group["params"]}
        if left := [name for name, weight in weights if id(weight) not in moved and self.rate(name) > 0]:
            shown = f"one without {len(left)} of {len(weights)} ({', '.join(left[:2])}{', …' if left[2:] else ''})"
            raise misreturned(self.optimizer, "an optimizer of every weight whose rate is above 0", made, shown=shown)
        return made

    def rate(self, name: str) -> float:
        """The factor of the learning rate at which a weight moves; the adaptation's word, unless the method has one."""
        factor = self.adaptation.rate(name)
        if not isinstance(factor, int | float) or not 0 <= factor < math.inf:
            raise misreturned(self.adaptation.rate, "a factor of the learning rate, a finite number", factor)
        return factor

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """The sum of the loss over a micro-batch, with the adaptation's penalty; not yet divided by the weight."""
        balance = None
        if self.mixture is None:
            loss = self._checked_loss(batch)
        else:
            with self.mixture.recording(batch) as recorded:
                loss = self._checked_loss(batch)
            balance = self.mixture.loss(recorded, loss.weight, self.trainer)
        if not loss.sum.requires_grad:
            raise misreturned(self.loss, "a Loss whose sum has a gradient", loss, shown="one without")
        self._step.add(loss)
        penalty = self.adaptation.penalty(self.network)
        if isinstance(penalty, Tensor) and penalty.numel() != 1:
            shown = f"one of shape {list(penalty.shape)}"
            raise misreturned(self.adaptation.penalty, "a scalar tensor or None", penalty, shown=shown)
        total = loss.sum if penalty is None else loss.sum + penalty * loss.weight  # both are divided by the weight
        return total if balance is None else total + balance

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Turn the gradient of the sum into that of the mean; Lightning has divided by micro-batches and ranks."""
        means, weight = self._step.taken(self.trainer)
        parts = self.trainer.accumulate_grad_batches * self.trainer.world_size
        scale = torch.where(weight > NO_WEIGHT, parts / weight, 0)  # of a step without weight, any gradient is 0
        gradients = [parameter.grad for parameter in self.parameters() if parameter.grad is not None]
        if gradients:  # a step that is not finite has lost them
            torch._foreach_mul_([shards.own(gradient) for gradient in gradients], scale)
        self.step_loss, self.gradient_norm = means.pop("loss"), shards.total_norm(gradients)
        self.step_metrics = means if self.mixture is None else means | self.mixture.step_metrics(self.trainer)
        if self.before_update is not None:
            self.before_update(float(self.step_loss))

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip by the norm that is known already; Lightning's own refuses fused optimizers under autocast."""
        if gradient_clip_val:
            coefficient = (gradient_clip_val / (self.gradient_norm + CLIP_EPSILON)).clamp(max=1.0)
            gradients = [shards.own(weight.grad) for weight in self.parameters() if weight.grad is not None]
            if gradients:
                torch._foreach_mul_(gradients, coefficient.to(gradients[0].device))

    def validation_step(self, batch: Batch, index: int) -> None:
        """Add the loss of a held-out batch to the totals."""
        self._held_out.add(self._checked_loss(batch))

    def on_validation_epoch_end(self) -> None:
        """Log the means over the validation split and all ranks, as `validation_…`."""
        if self._held_out.names:
            means, _ = self._held_out.taken(self.trainer)
            measured = {f"validation_{name}": mean for name, mean in means.items()}
            self.log_dict(measured, logger=False, rank_zero_only=True)  # trackers are told of the step, too


class _Totals:
    """Sums and weights of a loss and its metrics over micro-batches, and then over ranks."""

    def __init__(self) -> None:
        self.names: tuple[str, ...] = ()
        self._total = torch.zeros(0, 2)

    def add(self, loss: Loss) -> None:
        """Every batch of a method has the same metrics."""
        pairs = {"loss": (loss.sum, loss.weight), **loss.metrics}
        made = torch.stack([value.detach().float() for pair in pairs.values() for value in pair]).view(-1, 2)
        self._total = self._total + made if self.names else made
        self.names = tuple(pairs)

    def taken(self, trainer: pl.Trainer) -> tuple[dict[str, Tensor], Tensor]:
        """The mean of each and the weight of the loss over all ranks; what comes next is added up anew."""
        total = trainer.strategy.reduce(self._total, reduce_op="sum") if trainer.world_size > 1 else self._total
        assert isinstance(total, Tensor)
        weights = total[:, 1].clamp_min(NO_WEIGHT)
        means = dict(zip(self.names, total[:, 0] / weights, strict=True))
        self.names = ()
        return means, weights[0]
