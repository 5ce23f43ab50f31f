"""Tiny networks and the method on them: what the tests of distillation share."""

from __future__ import annotations

from typing import Any

from luthier.models.adaptation import FullFineTuning
from luthier.models.random import Random
from luthier_distillation.alignment import SameTokens
from luthier_distillation.distill import Distillation
from luthier_distillation.sequences import FromData
from luthier_distillation.signals import ForwardKl

SIZE = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "initializer_range": 0.2,
}


def unconfigured(student: Random, teacher: Random, **settings: Any) -> Distillation:
    """Forward KL on the data's sequences where the settings say nothing else; no network is loaded."""
    parts = {"signal": ForwardKl(), "sequences": FromData(), "alignment": SameTokens(), "teacher": teacher, **settings}
    return Distillation(student, FullFineTuning(), None, **parts)  # type: ignore[arg-type]


def distillation(student: Random, teacher: Random, **settings: Any) -> Distillation:
    """The same with the student loaded, in evaluation mode."""
    method = unconfigured(student, teacher, **settings)
    method.configure_model()
    method.network.eval()
    return method
