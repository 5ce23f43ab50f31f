"""The base of methods that raise the likelihood of tokens, in which mixtures of experts can be balanced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from luthier.errors import RecipeError
from luthier.models.evaluation_mode import evaluation_mode
from luthier.models.experts.balance import routing_totals
from luthier.training.language_model import LanguageModelMethod, shifted_targets
from luthier.training.mixture import StepTotals

if TYPE_CHECKING:
    from luthier.contracts.adaptation import Adaptation
    from luthier.contracts.batch import Batch
    from luthier.contracts.model import Model
    from luthier.contracts.training import Optimizer


class LikelihoodMethod(LanguageModelMethod):
    """A method whose loss is the cross-entropy of tokens, and which adds the load-balancing loss of experts.

    `router_aux_loss_coef` is the coefficient of that loss. It is not part of the reported loss.
    """

    balances_experts = True

    def __init__(
        self, model: Model, adaptation: Adaptation, optimizer: Optimizer, *, router_aux_loss_coef: float | None = None
    ) -> None:
        super().__init__(model, adaptation, optimizer)
        if router_aux_loss_coef is not None and router_aux_loss_coef < 0:
            raise RecipeError(
                f"A coefficient of {router_aux_loss_coef:g} would reward that few experts do all the work.",
                where="method.router_aux_loss_coef",
                hint="Use 0 or more.",
            )
        self.router_aux_loss_coef = router_aux_loss_coef
        self.preparation = RoutingCount(self)

    def as_trained(self, batch: Batch) -> Batch:
        """The batch as the loss gives it to the network."""
        return batch

    def count_routing(self, step: list[Batch]) -> None:
        """Count how the tokens of a step's micro-batches are routed, in forward passes without gradients or dropout.

        A step of one micro-batch is counted while it is trained on.
        """
        mixture = self.mixture
        if mixture is None or not mixture.top_k or len(step) == 1:
            return
        device, counted = next(self.network.parameters()).device, []
        with evaluation_mode(self.network), self.trainer.precision_plugin.forward_context():
            for batch in (self.as_trained(batch.to(device)) for batch in step):
                text = batch.segments > 0
                with mixture.recorder.recording(text, keeps_logits=True, with_gradients=False) as recorded:
                    self.hidden_states(batch)
                totals = routing_totals(recorded.logits, mixture.top_k)
                counted.append(StepTotals(totals.chosen, totals.rows, shifted_targets(batch)[1].sum()))
        mixture.count(StepTotals.sum(counted), self.trainer)


class RoutingCount:
    """A preparation that leaves the batches of a step as they are, and has their routing counted first.

    It is false where nothing is balanced: the batches of a step need not be known together then.
    """

    visits = 1

    def __init__(self, method: LikelihoodMethod) -> None:
        self._method = method

    def __bool__(self) -> bool:
        mixture = self._method.mixture
        return mixture is not None and mixture.top_k > 0

    def __call__(self, step: list[Batch], number: int) -> list[Batch]:
        self._method.count_routing(step)
        return step

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """There is nothing to restore: a step is counted when it begins."""
