"""Hooks only; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from luthier.api import hookimpl, target_name

if TYPE_CHECKING:
    from omegaconf import DictConfig

OUTPUTS = "luthier_ensemble.outputs.Ensemble"
ANSWERS = {
    f"luthier_ensemble.answers.{target}"
    for target in ("vote.Vote", "best_of_n.BestOfN", "router.Router", "cascade.Cascade")
}


@hookimpl
def luthier_check(config: DictConfig) -> Iterator[str]:
    """Refuse training where no loss reaches the weights, or where the artifact could not hold them."""
    model, adaptation = str(config.model.get("_target_", "")), str(config.adaptation.get("_target_", ""))
    if "fit" not in config.stages:
        return
    if model in ANSWERS:
        yield (
            "The model chooses among whole answers of its members, which no loss trains: set 'stages=[evaluate]', "
            "or distill its answers into a network."
        )
    if model == OUTPUTS and adaptation == target_name("FullFineTuning"):
        yield (
            "adaptation=full would train every weight of every member, and one folder of weights cannot hold them: "
            "choose adaptation=gate, mixing or lora, or set 'stages=[evaluate]'."
        )
    if model == OUTPUTS and "virtual_tokens" in config.adaptation:
        yield "Virtual tokens are prepended for one network, and an ensemble is several: choose adaptation=gate."
