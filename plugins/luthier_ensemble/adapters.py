"""LoRA adapters of several runs merged into one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import torch

from luthier.api import ADAPTER_NAME, EarlierRun, RecipeError, Trust, cast_weights, check_names, content_hash, load

if TYPE_CHECKING:
    from torch import nn

COMBINED = "combined"


class MergedAdapters(EarlierRun):
    """Start from the base of several runs of adaptation=lora, with their adapters merged by PEFT and folded in.

    `linear` takes the weighted sum of the factors A and of the factors B, which is not that of their products; `cat`
    concatenates the factors, which is exactly the weighted sum of the updates; `svd` is that sum at the rank `rank`,
    the largest of the runs' by default. `ties`, `dare_linear`, `dare_ties` and `magnitude_prune` sparsify the factors
    to `density` first, and with `_svd` the updates. A run that is not in `weights` has weight 1.
    """

    def __init__(
        self,
        trust: Trust = Trust(),  # noqa: B008 - it is frozen
        *,
        runs: dict[str, str],
        combination: Literal[
            "linear", "cat", "svd", "ties", "ties_svd", "dare_linear", "dare_linear_svd", "dare_ties", "dare_ties_svd",
            "magnitude_prune", "magnitude_prune_svd",
        ] = "linear",
        weights: dict[str, float] | None = None,
        density: float = 0.5,
        rank: int | None = None,
        majority: Literal["total", "frequency"] = "total",
        seed: int = 0,
        **loading: Any,
    ) -> None:  # fmt: skip
        if not runs:
            raise RecipeError(
                "There are no runs whose adapters could be merged.",
                where="model.runs",
                hint="Name them: 'model.runs={one: runs/one, other: runs/other}'.",
            )
        for name in weights or {}:
            check_names([name], runs, kind="run", use="to give a weight to", where=f"model.weights.{name}")
        if not 0 < density <= 1:
            raise RecipeError(f"density is {density}, but lies above 0 and at most at 1.", where="model.density")
        super().__init__(trust, path=next(iter(runs.values())), merge=True, **loading)
        self.runs, self.combination, self.weights = runs, combination, weights
        self.density, self.rank, self.majority, self.seed = density, rank, majority, seed

    def network(self) -> nn.Module:
        loaded = load(self.path, vouched=self.trust.names)
        names = [ADAPTER_NAME, *list(self.runs)[1:]]
        tuner: Any = getattr(loaded.network, "base_model", None)
        if not loaded.manifest["trained"] or not hasattr(tuner, "add_weighted_adapter"):
            raise RecipeError(
                f"{self.path} left no adapter that PEFT can merge with others.",
                where=f"model.runs.{next(iter(self.runs))}",
                hint="Merge adapters of adaptation=lora; whole networks merge with model=merge.",
            )
        for name, path in list(self.runs.items())[1:]:
            loaded.add(path, name)
        self._combine(tuner, names)
        loaded.use(COMBINED)
        network = self._merged(loaded)
        if self.loading.dtype != "auto":
            cast_weights(network, self.loading.torch_dtype(self.config))
        return self._dressed(network)

    def lineage(self) -> dict[str, Any]:
        """With the lineage of each run, and how their adapters were merged."""
        lineages = {name: EarlierRun(self.trust, path=path).lineage() for name, path in self.runs.items()}
        merging = {
            "combination": self.combination,
            "weights": self.weights,
            "density": self.density,
            "rank": self.rank,
            "majority": self.majority,
            "seed": self.seed,
        }
        return {
            "kind": "merged adapters",
            "name": " + ".join(self.runs),
            "sha256": content_hash([[lineage["sha256"] for lineage in lineages.values()], merging]),
            "dtype": self.loading.dtype,
            "merging": merging,
            "runs": lineages,
        }

    def _combine(self, tuner: Any, names: list[str]) -> None:
        weights = [float((self.weights or {}).get(name, 1.0)) for name in self.runs]
        sparsity = {} if self.combination in ("linear", "cat", "svd") else {"density": self.density}
        election = {"majority_sign_method": self.majority} if "ties" in self.combination else {}
        rank = {"svd_rank": self.rank} if "svd" in self.combination else {}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)  # of the values that DARE drops
            try:
                tuner.add_weighted_adapter(
                    names, weights, COMBINED, combination_type=self.combination, **sparsity, **election, **rank
                )
            except ValueError as error:
                raise RecipeError(
                    f"PEFT does not merge these adapters as {self.combination}: {error}",
                    where="model.combination",
                    hint="Adapters of other ranks merge as cat or svd.",
                ) from error
