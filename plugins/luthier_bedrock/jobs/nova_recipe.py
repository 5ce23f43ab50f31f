"""The Nova recipe (YAML for SageMaker) of a recipe of luthier: the vendor's fields with the values that they take."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from luthier.api import RecipeError
from luthier_bedrock.checks.table import Base
from luthier_bedrock.jobs.carried import LEFT, Carrier, Fate
from luthier_bedrock.jobs.recipe import package_and_class, setting
from luthier_bedrock.jobs.request import Places

LORA = (("luthier_adapters", "Lora"), ("luthier_adapters", "LoraPlus"), ("luthier_adapters", "Qlora"))
FULL = ("luthier", "FullFineTuning")
UNIT = {"least": 0.0, "most": 1.0}


@cache
def _known() -> Mapping[str, Any]:
    read: Mapping[str, Any] = yaml.safe_load(Path(__file__).with_name("nova_recipes.yaml").read_text(encoding="utf-8"))
    return read


def write_nova_recipe(recipe: Mapping[str, Any], kind: str, base: Base, places: Places) -> tuple[str, list[Fate]]:
    """The YAML, and what became of each setting; RecipeError where there is no Nova recipe of the kind."""
    if kind == "distillation":
        message = (
            "The vendor's recipe of distillation lets a teacher write data and names no student, so none is written."
        )
        raise RecipeError(message, where="--base", hint="The request is all that a distillation job needs.")
    if base.name not in _known()["batch"].get(kind, {}):
        raise RecipeError(f"There is no Nova recipe for {kind} of {base.name}.", where="--base")
    carrier = Carrier(recipe)
    lora = kind != "cpt" and _is_lora(recipe, carrier)
    run: dict[str, Any] = {
        "name": places.name,
        "model_type": base.model,
        "model_name_or_path": _known()["paths"][base.name],
        "data_s3_path": places.data,
        "output_s3_path": places.results,
        "replicas": _known()["replicas"][kind][base.name][not lora],
    }
    second = base.name == "nova-2-lite"
    if kind == "rft":
        run["reward_lambda_arn"] = places.grader or ""
        training = _rft(carrier, lora, places)
    elif second:
        training = _second_cpt(carrier) if kind == "cpt" else _second_sft(carrier, lora)
    else:
        training = _first(carrier, kind, lora, base)
    shared = {"max_length": _length(carrier, kind, base), "global_batch_size": _batch(carrier, kind, base, lora)}
    carrier.leave({path: note for path, note in LEFT.items() if path in _TOLD} | {"trainer.clip": _NO_FIELD})
    text = yaml.safe_dump({"run": run, "training_config": {**shared, **training}}, sort_keys=False)
    return f"# A Nova recipe written by luthier; nothing of it was sent.\n{text}", carrier.fates


_NO_FIELD = "the vendor's recipe has no field for it"
_TOLD = ("model", "prompt", "trainer.stop", "trainer.keep_best", "batch.packing", "seed", "evaluation")


def _is_lora(recipe: Mapping[str, Any], carrier: Carrier) -> bool:
    target = setting(recipe, "adaptation._target_")
    named = package_and_class(str(target))
    if named == FULL:
        return False
    if named not in LORA:
        note = "the vendor's recipes have LoRA and all weights: LoRA is used"
        carrier.fates.append(Fate("adaptation", target, "peft_scheme", "lora", note))
    carrier.leave({f"adaptation.{name}": _NO_FIELD for name in ("rank", "targets", "rslora", "dora")})
    return True


def _length(carrier: Carrier, kind: str, base: Base) -> int:
    known = _known()["length"][kind]
    written: int = carrier.choose("batch.length", "max_length", known["allowed"].get(base.name, []), known["default"])
    return written


def _batch(carrier: Carrier, kind: str, base: Base, lora: bool) -> int:
    known = _known()["batch"][kind][base.name]
    default = known["lora" if lora else "full"]
    written: int = carrier.choose("batch.size", "global_batch_size", known["allowed"], default)
    return written


def _alpha(carrier: Carrier, base: str) -> int:
    known = _known()["alpha"]
    written = carrier.choose("adaptation.alpha", "lora_tuning.alpha", known["allowed"], known["default"][base])
    return int(written)


def _first(carrier: Carrier, kind: str, lora: bool, base: Base) -> dict[str, Any]:
    """Nova 1: supervised fine-tuning and continued pre-training."""
    rate = carrier.carry("optimizer.lr", "optim.lr", {})
    optim = {
        "lr": rate,
        "name": "distributed_fused_adam",
        "adam_w_mode": True,
        "eps": carrier.carry("optimizer.eps", "optim.eps", {}) or 1e-6,
        "weight_decay": _known_or(carrier.carry("optimizer.weight_decay", "optim.weight_decay", UNIT), 0.0),
        "betas": [
            _known_or(carrier.carry("optimizer.beta1", "optim.betas", UNIT), 0.9),
            _known_or(carrier.carry("optimizer.beta2", "optim.betas", UNIT), 0.999),
        ],
        "sched": {"warmup_steps": 10, "constant_steps": 0, "min_lr": _lowest(carrier, rate)},
    }
    dropouts = {"hidden_dropout": 0.0, "attention_dropout": 0.0, "ffn_dropout": 0.0}
    model: dict[str, Any] = {**dropouts, "optim": optim}
    if kind == "sft":
        model["peft"] = {"peft_scheme": "lora" if lora else None}
        if lora:
            dropout = carrier.carry("adaptation.dropout", "lora_tuning.adapter_dropout", UNIT)
            model["peft"]["lora_tuning"] = {
                "loraplus_lr_ratio": 16.0,
                "alpha": _alpha(carrier, base.name),
                "adapter_dropout": _known_or(dropout, 0.01),
            }
    _warmup(carrier, 10)
    epochs = carrier.carry("trainer.epochs", "trainer.max_epochs", {"least": 1, "whole": True})
    carrier.leave({"trainer.max_steps": "this recipe counts epochs"})
    return {"trainer": {"max_epochs": epochs}, "model": model}


def _second_sft(carrier: Carrier, lora: bool) -> dict[str, Any]:
    """Nova 2, supervised fine-tuning: it counts steps."""
    rate = carrier.carry("optimizer.lr", "optim_config.lr", UNIT)
    peft: dict[str, Any] = {"peft_scheme": "lora" if lora else "null"}
    if lora:
        peft["lora_tuning"] = {"alpha": _alpha(carrier, "nova-2-lite"), "lora_plus_lr_ratio": 64.0}
    steps = _steps(carrier)
    return {
        "max_steps": steps,
        "save_steps": "${oc.select:training_config.max_steps}",
        "save_top_k": 5,
        "reasoning_enabled": False,
        "lr_scheduler": {"warmup_steps": _warmup(carrier, 15), "min_lr": _lowest(carrier, rate)},
        "optim_config": _second_optim(carrier, rate),
        "peft": peft,
    }


def _second_cpt(carrier: Carrier) -> dict[str, Any]:
    rate = carrier.carry("optimizer.lr", "optim.lr", {})
    optim = {
        **_second_optim(carrier, rate),
        "adam_w_mode": True,
        "eps": carrier.carry("optimizer.eps", "optim.eps", {}) or 1e-6,
        "name": "distributed_fused_adam",
        "optimizer": "adam",
        "sched": {"warmup_steps": _warmup(carrier, 10), "constant_steps": 0, "min_lr": _lowest(carrier, rate)},
    }
    model = {"hidden_dropout": 0.0, "attention_dropout": 0.0}
    return {"task_type": "cpt", "trainer": {"max_steps": _steps(carrier)}, "model": model, "optim": optim}


def _rft(carrier: Carrier, lora: bool, places: Places) -> dict[str, Any]:
    """Nova 2, reinforcement fine-tuning."""
    rate = carrier.carry("optimizer.lr", "optim_config.lr", {})
    peft: dict[str, Any] = {"peft_scheme": "lora" if lora else None}
    if lora:
        peft["lora_tuning"] = {"alpha": _alpha(carrier, "nova-2-lite"), "lora_plus_lr_ratio": 64.0}
    group = carrier.carry("method.group", "advantage_strategy.number_generation", {"least": 2, "whole": True})
    tokens = carrier.carry("method.rollout.max_new_tokens", "generator.max_new_tokens", {"least": 1, "whole": True})
    temperature = carrier.carry("method.rollout.temperature", "generator.temperature", {})
    entropy = carrier.carry("method.entropy", "trainer.ent_coeff", {})
    beta = carrier.carry("method.kl.beta", "trainer.kl_loss_coef", {})
    steps = _steps(carrier)
    carrier.leave({
        "method.reward": "the function at --lambda grades: try yours with luthier bedrock grade",
        "method.objective": _NO_FIELD, "method.advantage": _NO_FIELD,
    })  # fmt: skip
    arn = places.grader or ""
    return {
        "reasoning_effort": "high",
        "rollout": {
            "advantage_strategy": {"number_generation": group},
            "generator": {"max_new_tokens": tokens, "set_random_seed": True, "temperature": temperature, "top_k": 1},
            "rewards": {"api_endpoint": {"lambda_arn": arn, "lambda_concurrency_limit": 12}},
        },
        "trainer": {
            "max_steps": steps, "save_steps": "${oc.select:training_config.trainer.max_steps}",
            "ent_coeff": entropy or 0.0, "kl_loss_coef": _known_or(beta, 0.0),
            "optim_config": _second_optim(carrier, rate), "peft": peft,
        },
    }  # fmt: skip


def _second_optim(carrier: Carrier, rate: Any) -> dict[str, Any]:
    return {
        "lr": rate,
        "weight_decay": _known_or(carrier.carry("optimizer.weight_decay", "weight_decay", UNIT), 0.0),
        "adam_beta1": _known_or(carrier.carry("optimizer.beta1", "adam_beta1", UNIT), 0.9),
        "adam_beta2": _known_or(carrier.carry("optimizer.beta2", "adam_beta2", UNIT), 0.95),
    }


def _steps(carrier: Carrier) -> int:
    """The steps of the recipe; RecipeError where it counts epochs alone, as the Nova 2 recipes count steps."""
    steps = carrier.carry("trainer.max_steps", "max_steps", {"least": 4, "whole": True})
    if steps is None:
        raise RecipeError(
            "The Nova 2 recipe counts steps, and this recipe counts epochs alone.",
            where="trainer.max_steps",
            hint="Say trainer.max_steps=…: records / global_batch_size x epochs.",
        )
    carrier.leave({"trainer.epochs": "this recipe counts steps"})
    return int(steps)


def _warmup(carrier: Carrier, default: int) -> int:
    """Steps: the share of `trainer.max_steps` where that is known, else the vendor's default."""
    share, steps = setting(carrier.recipe, "optimizer.schedule.warmup"), setting(carrier.recipe, "trainer.max_steps")
    if share is None or steps is None:
        carrier.leave({"optimizer.schedule.warmup": f"a share of steps whose number is not known: {default} steps"})
        return default
    written = round(share * steps)
    note = "a share of the steps, counted"
    carrier.fates.append(Fate("optimizer.schedule.warmup", share, "warmup_steps", written, note))
    return int(written)


def _lowest(carrier: Carrier, rate: float) -> float:
    """`min_lr`: the end of the schedule, which must be lower than the rate."""
    final = setting(carrier.recipe, "optimizer.schedule.final")
    if final is None or final >= 1:
        carrier.leave({"optimizer.schedule": "the vendor's schedule falls to min_lr: a tenth of the rate"})
        return rate / 10
    carrier.fates.append(Fate("optimizer.schedule.final", final, "min_lr", final * rate))
    return float(final) * rate


def _known_or(value: Any, default: Any) -> Any:
    return default if value is None else value
