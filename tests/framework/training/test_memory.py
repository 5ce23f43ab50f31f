from __future__ import annotations

import pytest
import torch
from torch import nn

from luthier.training.memory import exhausted, is_out_of_memory, peak_bytes, suggestions


class Shape:
    num_hidden_layers, hidden_size = 30, 4096

    def get_text_config(self) -> Shape:
        return self


class Large(nn.Module):
    config = Shape()

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(100_000_000, device="meta"))


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), True),
        (MemoryError(), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_running_out_of_memory_is_told_from_other_errors(error, answer):
    assert is_out_of_memory(error) is answer


def test_a_real_allocation_that_fails_is_recognised():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)


def test_suggestions_are_ranked_by_what_they_save():
    offers = suggestions(Large(), micro=8, length=2048, checkpointing=False)
    assert [offer.saves for offer in offers] == sorted((offer.saves for offer in offers), reverse=True)
    assert offers[0].setting == "model.gradient_checkpointing=true"
    assert {"batch.micro=4", "batch.length=1024", "adaptation=lora"} < {offer.setting for offer in offers}
    error = exhausted(MemoryError(), offers, where="step 3")
    assert error.code == 5
    assert "1. model.gradient_checkpointing=true (saves about" in error.hint
    assert error.hint.count("saves about") == 3


def test_of_a_network_that_reads_images_the_text_tower_is_what_activations_are_kept_of():
    from transformers import Gemma3Config

    network = Large()
    network.config = Gemma3Config(text_config={"num_hidden_layers": 30, "hidden_size": 4096})
    settings = {"micro": 8, "length": 2048, "checkpointing": False}
    assert suggestions(network, **settings) == suggestions(Large(), **settings)


def test_what_is_done_already_is_not_suggested():
    names = [offer.setting for offer in suggestions(Large(), micro=1, length=256, checkpointing=True)]
    assert names == ["adaptation=lora"]


def test_the_peak_of_this_process_is_known():
    assert peak_bytes() > 50_000_000
