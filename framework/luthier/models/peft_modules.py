"""Which modules PEFT adapts: those that were named, or every linear layer that text passes through.

No router, and none beyond PEFT's reach.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

from torch import nn

from luthier.errors import RecipeError
from luthier.errors.suggestions import nearest
from luthier.models.auto_class import is_encoder
from luthier.models.experts.layers import router_modules
from luthier.models.experts.tensors import add_parameters, fused_parameters
from luthier.models.head_weights import head_modules
from luthier.models.linear_layers import beyond_adapters, is_linear
from luthier.models.modalities import is_named, other_modalities, within
from luthier.models.peft_reading import ends_with, patterns, refuse_as_peft, short_names, taken_for_experts
from luthier.models.sequence_classification import is_reward_model, is_tagger
from luthier.models.wrappers import unwrapped

if TYPE_CHECKING:
    from peft import PeftConfig

ALL_LINEAR = "all-linear"
WHERE = "adaptation.targets"
_MATRICES_OF_EXPERTS = {"gate_proj", "up_proj", "down_proj", "w1", "w2", "w3"}
"""What the matrices of an expert are called where experts are modules."""


def choose_modules(config: PeftConfig, network: nn.Module) -> PeftConfig:
    """The configuration, set so that PEFT adapts what `target_modules` means in this network, and plain PEFT the same.

    `all-linear` is every linear layer but the LM head, the routers of mixtures of experts, those that an adapter cannot
    change rightly (`beyond_adapters`), and those of towers that no text passes through. Of modules that are named,
    routers are left out, and such a tower unless a name or pattern contains the tower's own, such as `vision_tower`.
    RecipeError for a name or pattern that fits no module, or those that are left out alone, or one beyond adapters.
    """
    if getattr(config, "target_modules", None) is not None:
        _Choice(config, network).write()
    return config


@dataclass
class _Choice:
    """The modules of a network that a configuration means."""

    config: Any
    network: nn.Module

    @cached_property
    def modules(self) -> dict[str, nn.Module]:
        return {name: module for name, module in self.network.named_modules() if name}

    @cached_property
    def routers(self) -> set[str]:
        """Routers and all modules within them."""
        parts = router_modules(self.network)
        return {name for name in self.modules if any(name == one or name.startswith(f"{one}.") for one in parts)}

    @cached_property
    def head(self) -> set[str]:
        """The modules of a classification head on an encoder, which is trained whole and not adapted."""
        inner: Any = unwrapped(self.network)
        if not (is_tagger(inner) or (is_reward_model(inner) and is_encoder(inner.config))):
            return set()
        return {name for name in self.modules if within(name, head_modules(inner))}

    @cached_property
    def towers(self) -> list[str]:
        """The largest modules that no text passes through."""
        return [name for name in other_modalities(self.network) if name in self.modules]

    @property
    def is_all_linear(self) -> bool:
        targets = self.config.target_modules
        return isinstance(targets, str) and targets.lower() == ALL_LINEAR

    def write(self) -> None:
        """Put the chosen modules into the configuration, by short names where these fit nothing else."""
        targets = self.config.target_modules
        if self.is_all_linear:
            chosen = self._linear()
            fitting = self._by_names(chosen, short_names(chosen))
        elif isinstance(targets, str):
            fitting = self._fitting_pattern(targets)
            chosen = self._without_routers(self._named(targets, fitting))
            if taken_for_experts(self.config, self.network, [targets]):
                fitting = self._by_names(chosen, set(chosen))
        else:
            chosen = self._without_routers(self._listed(targets))
            fitting = self._by_names(chosen, set(targets))
        self._leave_out(fitting - chosen - self._excluded(), chosen)
        if ranks := getattr(self.config, "rank_pattern", None):  # PEFT warns of those that fit no chosen module
            fitting = {key for key in ranks if any(re.fullmatch(key, name) for name in chosen)}
            self.config.rank_pattern = {key: rank for key, rank in ranks.items() if key in fitting}

    def _linear(self) -> set[str]:
        network: Any = self.network
        head = network.get_output_embeddings() if hasattr(network, "get_output_embeddings") else None
        heads = {name for name, module in self.modules.items() if module is head or name in {"score", "classifier"}}
        linear = {name for name, module in self.modules.items() if is_linear(module)}
        chosen = linear - heads - self.head - self.routers - self._excluded() - beyond_adapters(self.network).keys()
        chosen = {name for name in chosen if not within(name, self.towers)}
        if not chosen:
            raise RecipeError(
                f"{type(self.network).__name__} has no linear layer that an adapter can change.", where=WHERE
            )
        return chosen

    def _listed(self, names: Iterable[str]) -> set[str]:
        """The modules that the entries of a list fit, as PEFT reads them: whole names, or their ends."""
        chosen: set[str] = set()
        for name in sorted(names):
            fitting = {one for one in self.modules if ends_with(one, name)}
            if not fitting:
                self._refuse_unknown(name)
            self._refuse_routers(name, fitting)
            chosen |= self._named(name, fitting)
        return chosen

    def _fitting_pattern(self, pattern: str) -> set[str]:
        """The modules whose whole names a regular expression fits."""
        try:
            fitting = {one for one in self.modules if re.fullmatch(pattern, one)}
        except re.error as error:
            raise RecipeError(f"{pattern!r} is no regular expression: {error}.", where=WHERE) from error
        if not fitting and any(ends_with(one, pattern) for one in self.modules):
            raise RecipeError(
                f"{pattern!r} is read as a regular expression, which fits no whole name of a module.",
                where=WHERE,
                hint=f"Write a list: {WHERE}=[{pattern}].",
            )
        if not fitting:
            self._refuse_unknown(pattern)
        self._refuse_routers(pattern, fitting)
        return fitting

    def _named(self, name: str, fitting: set[str]) -> set[str]:
        """Those of the fitting modules that text passes through, or whose tower the name or pattern contains."""
        left_out = [tower for tower in self.towers if not is_named(tower, [name])]
        chosen = {one for one in fitting if not within(one, left_out)}
        if not chosen:
            towers = [tower for tower in left_out if any(within(one, [tower]) for one in fitting)]
            raise RecipeError(
                f"{name!r} fits modules of {' and '.join(towers)} alone, which no text passes through.",
                where=WHERE,
                hint="Choose modules of the text tower, or name the tower that you mean, as in "
                f"'.*{towers[0].rpartition('.')[2]}.*{name}'.",
            )
        return chosen

    def _without_routers(self, fitting: set[str]) -> set[str]:
        chosen = fitting - self.head - self.routers - self._excluded()
        self._refuse_beyond(chosen)
        return chosen

    def _by_names(self, chosen: set[str], ends: set[str]) -> set[str]:
        """Write the ends of names; names that PEFT would take for experts become parameters. What the names fit."""
        moved = taken_for_experts(self.config, self.network, ends)
        as_parameters = {one for one in chosen if any(ends_with(one, end) for end in moved)}
        why = self._not_as_parameters() if as_parameters else ""
        if why and self.is_all_linear:
            chosen -= as_parameters
        elif why and "PEFT" not in why:
            raise RecipeError(
                f"PEFT takes {' and '.join(sorted(moved))} for the names of experts, and adapts such layers as "
                f"parameters alone, which cannot be here: {why}.",
                where=WHERE,
                hint=f"Leave {' and '.join(sorted(moved))} out of {WHERE}, or choose adaptation=lora.",
            )
        elif as_parameters:
            add_parameters(self.config, self.network, {f"{name}.weight" for name in as_parameters})
        self.config.target_modules = ends - moved
        return {one for one in self.modules if any(ends_with(one, end) for end in ends - moved)}

    def _not_as_parameters(self) -> str:
        """Why weights cannot be adapted as parameters with these settings; empty where they can."""
        if self.config.lora_dropout or self.config.use_dora:
            return "PEFT does so without dropout and DoRA"
        if self.config.init_lora_weights == "eva":
            return "EVA gives each layer a rank of its own"
        return "their weights have four bits" if getattr(self.network, "is_loaded_in_4bit", False) else ""

    def _leave_out(self, names: set[str], chosen: set[str]) -> None:
        if not names:
            return
        if hasattr(self.config, "exclude_modules"):
            known = self.config.exclude_modules or []
            before = [known] if isinstance(known, str) else [rf"(.*\.)?{re.escape(one)}" for one in known]
            self.config.exclude_modules = "|".join([*before, *patterns(names, besides=chosen)])
        else:
            self.config.target_modules = chosen

    def _excluded(self) -> set[str]:
        """The modules that the configuration leaves out already."""
        known = getattr(self.config, "exclude_modules", None) or []
        if isinstance(known, str):
            return {name for name in self.modules if re.fullmatch(known, name)}
        return {name for name in self.modules if any(ends_with(name, one) for one in known)}

    def _refuse_unknown(self, name: str) -> NoReturn:
        fused = {one.rpartition(".")[2] for one in fused_parameters(self.network)}
        if fused and name.rpartition(".")[2] in fused | _MATRICES_OF_EXPERTS:
            hint = "Its experts are fused in one tensor each: adaptation.experts=true adapts them with adaptation=lora."
        else:
            linear = {one.rpartition(".")[2] for one, module in self.modules.items() if is_linear(module)}
            hint = nearest(name, linear, "It has")
        raise RecipeError(f"The network has no module {name!r}.", where=WHERE, hint=hint)

    def _refuse_routers(self, name: str, fitting: set[str]) -> None:
        if fitting <= self.routers:
            raise RecipeError(
                f"{name!r} fits routers of experts alone, and no adapter wraps those.",
                where=WHERE,
                hint="Train them as they are: adaptation.routers=true, with adaptation=lora or full.",
            )

    def _refuse_beyond(self, chosen: set[str]) -> None:
        beyond = beyond_adapters(self.network)
        if ignored := sorted(chosen & beyond.keys()):
            refuse_as_peft(self.config, self.network, ignored[0])
            raise RecipeError(
                f"An adapter would not change {ignored[0]} rightly: {beyond[ignored[0]]}.",
                where=WHERE,
                hint=f"Leave {ignored[0].rpartition('.')[2]} out of {WHERE}.",
            )
