"""Small tensors merged by mergekit 0.1.5; run it where that is installed.

Only its functions on tensors are called, in float32. Random methods are seeded like those of the tests.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import torch
from mergekit.merge_methods.generalized_task_arithmetic import ConsensusMethod, GeneralizedTaskArithmeticMerge
from mergekit.merge_methods.linear import linear_merge
from mergekit.merge_methods.model_stock import model_stock_merge_method
from mergekit.merge_methods.multislerp import multislerp
from mergekit.merge_methods.slerp import slerp
from mergekit.sparsify import SparsificationMethod

HERE = Path(__file__).parent
WEIGHTS = {"a": 0.7, "b": 0.4, "c": -0.2}


def tensors() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    base = torch.randn(6, 8, generator=generator)
    return {"base": base, **{name: base + 0.3 * torch.randn(6, 8, generator=generator) for name in "abc"}}


def group(models, *, based=True):
    entries = [SimpleNamespace(id=name, tensor=models[name].clone()) for name in "abc"]
    base = SimpleNamespace(id="base", tensor=models["base"].clone()) if based else None
    return SimpleNamespace(base=base, non_base=entries)


class Values(dict):
    def values_for(self, entries):
        return [self[entry.id] for entry in entries]


def arithmetic(models, sparsification, consensus, *, normalize=False, density=0.5, **more):
    method = GeneralizedTaskArithmeticMerge(
        consensus_method=consensus, sparsification_method=sparsification, default_normalize=normalize,
        default_rescale=False, method_name="x", method_pretty_name=None, method_reference_url=None,
    )  # fmt: skip
    each = {name: dict.fromkeys("abc", value) for name, value in {"density": density, **more}.items()}
    settings = {"weight": WEIGHTS, "normalize": normalize, "rescale": False, "lambda": 0.9, "int8_mask": False}
    return method.merge_group(group(models), **settings, **each)


def main() -> None:
    models = tensors()
    batch = SimpleNamespace(tensors=[models[name][None] for name in "abc"])
    by = SparsificationMethod
    found = {
        "linear": linear_merge.implementation(batch, torch.tensor([list(WEIGHTS.values())]))[0],
        "slerp": slerp(torch.tensor([0.3]), models["base"][None], models["a"][None])[0],
        "multislerp": multislerp.implementation(group(models), Values(WEIGHTS)),
        "multislerp_without_base": multislerp.implementation(group(models, based=False), Values(WEIGHTS)),
        "task_arithmetic": arithmetic(models, None, None),
        "ties": arithmetic(models, by.magnitude, ConsensusMethod.sum, normalize=True),
        "breadcrumbs": arithmetic(models, by.magnitude_outliers, None, gamma=0.1),
        "breadcrumbs_ties": arithmetic(models, by.magnitude_outliers, ConsensusMethod.sum, gamma=0.1),
        "model_stock": model_stock_merge_method.implementation(group(models)),
        "model_stock_by_rows": model_stock_merge_method.implementation(group(models), filter_wise=True),
    }
    torch.manual_seed(11)
    found["dare_of_one"] = arithmetic_of_one(models, by.random)
    torch.manual_seed(11)
    found["della_of_one"] = arithmetic_of_one(models, by.della_magprune, epsilon=0.2)
    values = {name: tensor.tolist() for name, tensor in {**models, **found}.items()}
    (HERE / "mergekit_reference.json").write_text(json.dumps({"mergekit": "0.1.5", "tensors": values}) + "\n")


def arithmetic_of_one(models, sparsification, **more):
    from mergekit.sparsify import sparsify

    return sparsify(models["a"] - models["base"], density=0.5, method=sparsification, **more)


if __name__ == "__main__":
    main()
