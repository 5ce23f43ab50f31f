"""Losses and gradients of packed rows with virtual tokens equal those of plain PEFT, one sequence at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import PeftModel
from torch import Tensor, nn

from luthier.contracts.batch import Row
from luthier.data.collate import collate
from luthier.models.lm_head import find_lm_head, hidden_states
from luthier.training.language_model import shifted_targets
from tests.plugins.prefix.networks import ANSWERS, NETWORKS, adapted, blocks, build

LENGTHS = ((9, 2, 5), (7, 8))


class BuiltModel:
    """A model whose network is built here."""

    def __init__(self, name: str) -> None:
        self.name = name

    def network(self) -> nn.Module:
        return build(self.name)


def packed_loss(network: nn.Module, rows: list[list[Row]], width: int | None = 18) -> Tensor:
    batch = collate(rows, width)
    hidden = hidden_states(network, batch)
    total, _ = find_lm_head(network).cross_entropy(hidden.flatten(0, 1), *shifted_targets(batch))
    return total


def peft_loss(network: Any, rows: list[list[Row]]) -> Tensor:
    """Plain PEFT: one call for each sequence, its full logits, nothing of ours."""
    total = torch.zeros(())
    for row in (row for block in rows for row in block):
        ids = torch.from_numpy(row.sequences[0].ids.astype(np.int64))[None]
        logits = network(input_ids=ids, use_cache=False).logits[0, -ids.shape[1] : -1]
        total = total + nn.functional.cross_entropy(logits, ids[0, 1:], reduction="sum")
    return total


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("name", NETWORKS)
def test_packed_losses_are_those_of_plain_peft_one_sequence_at_a_time(answer: str, name: str, tmp_path: Path) -> None:
    rows, network = blocks(*LENGTHS), adapted(answer, name)
    ANSWERS[answer].save(network, tmp_path)
    plain = PeftModel.from_pretrained(build(name, "eager"), str(tmp_path)).eval()
    with torch.no_grad():
        expected = peft_loss(plain, rows)
        torch.testing.assert_close(packed_loss(network, rows), expected, rtol=1e-5, atol=1e-5)
        loaded = ANSWERS[answer].load(BuiltModel(name), tmp_path).eval()  # type: ignore[arg-type]
        assert torch.equal(packed_loss(loaded, rows), packed_loss(network, rows))
        assert abs(packed_loss(build(name), rows) - expected) > 1e-3


@pytest.mark.parametrize("answer", ANSWERS)
def test_gradients_of_packed_rows_are_those_of_a_plain_peft_loop(answer: str) -> None:
    """The plain loop trains PEFT's own wrapper with the same configuration and the same weights."""
    from peft import get_peft_model

    rows, ours = blocks(*LENGTHS), adapted(answer)
    plain = get_peft_model(build("llama", "eager"), ANSWERS[answer].peft_config(build("llama"))).eval()
    plain.prompt_encoder.load_state_dict(ours.prompt_encoder.state_dict())
    packed_loss(ours, rows).backward()
    peft_loss(plain, rows).backward()
    expected = {name: weight.grad for name, weight in plain.named_parameters() if weight.grad is not None}
    gradients = {name: weight.grad for name, weight in ours.named_parameters() if weight.grad is not None}
    assert gradients.keys() == expected.keys()
    for name, gradient in expected.items():
        assert gradient.any(), name
        torch.testing.assert_close(gradients[name], gradient, rtol=1e-4, atol=1e-5)
