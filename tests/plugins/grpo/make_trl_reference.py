"""Writes trl_reference.json: the losses and gradients of TRL's GRPOTrainer on the tokens of fixed_policy_tokens.

Run once, where TRL is installed: python tests/plugins/grpo/make_trl_reference.py
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fixed_policy_tokens as fixed
import torch
import trl
from trl.trainer.grpo_trainer import GRPOTrainer
from trl.trainer.utils import nanstd

CASES: dict[str, dict[str, Any]] = {
    "clipped": {},
    "clipped higher, a k3 penalty": {"epsilon_high": 0.28, "beta": 0.04},
    "dapo": {"loss_type": "dapo", "epsilon_high": 0.28},
    "dr_grpo": {"loss_type": "dr_grpo"},
    "gspo": {"importance_sampling_level": "sequence", "epsilon_low": 0.03, "epsilon_high": 0.04},
    "cispo": {"loss_type": "cispo", "epsilon_high": 1.2},
    "corrected": {"use_vllm": True, "ratio": 2.0, "beta": 0.1},
    "entropy": {"loss_type": "dapo", "entropy_coef": 0.01, "_entropy_bonus_enabled": True},
}


def trainer(case: dict[str, Any]) -> Any:
    """A GRPOTrainer with the attributes that its loss reads, and nothing else."""
    made = GRPOTrainer.__new__(GRPOTrainer)
    settings: dict[str, Any] = {
        "loss_type": "grpo", "importance_sampling_level": "token", "epsilon_low": 0.2, "epsilon_high": 0.2, "beta": 0.0,
        "use_vllm": False, "vllm_importance_sampling_correction": True, "aux_loss_enabled": False,
        "top_entropy_quantile": 1.0, "off_policy_mask_threshold": None, "max_completion_length": 5,
        "_entropy_bonus_enabled": False, "use_adaptive_entropy": False, "entropy_coef": 0.0,
        "current_gradient_accumulation_steps": 1,
        "args": SimpleNamespace(use_bias_correction_kl=False, delta=None, steps_per_generation=1),
        "model": SimpleNamespace(training=False), "_metrics": {"eval": defaultdict(list)},
        "accelerator": SimpleNamespace(num_processes=1, gather=lambda x: x, reduce=lambda x, reduction: x),
    }  # fmt: skip
    for name, value in {**settings, **case}.items():
        object.__setattr__(made, name, value)
    return made


def loss_and_gradient(case: dict[str, Any]) -> dict[str, Any]:
    made, log_probs = trainer(case), fixed.log_probs().requires_grad_()
    made._get_per_token_logps_and_entropies = lambda *_, **__: (log_probs, fixed.entropies(), None)
    one = torch.ones(4, 1, dtype=torch.long)
    mask = fixed.mask()
    inputs = {
        "prompt_ids": one, "prompt_mask": one, "completion_ids": torch.ones(4, 5, dtype=torch.long),
        "completion_mask": mask, "advantages": torch.tensor(fixed.ADVANTAGES, dtype=torch.float64),
        "old_per_token_logps": fixed.old(), "ref_per_token_logps": fixed.reference(), "num_items_in_batch": mask.sum(),
        "importance_sampling_ratio": (fixed.old() - fixed.rollout_log_probs()).exp().clamp(max=case.get("ratio", 1e9)),
    }  # fmt: skip
    loss = made._compute_loss(made.model, inputs)
    loss.backward()
    return {"loss": loss.item(), "gradient": log_probs.grad.tolist()}


if __name__ == "__main__":
    rewards = torch.tensor([[1.0, 0.0, 0.5, float("nan")]], dtype=torch.float64)
    advantages = (rewards - rewards.nanmean(1, keepdim=True)) / (nanstd(rewards, dim=1, keepdim=True) + 1e-4)
    result = {
        "trl": trl.__version__,
        "cases": {name: loss_and_gradient(case) for name, case in CASES.items()},
        "advantages": advantages[0, :3].tolist(),
    }
    file = Path(__file__).with_name("trl_reference.json")
    file.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
