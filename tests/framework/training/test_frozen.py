"""Checkpoints hold what moves."""

from __future__ import annotations

import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from luthier.errors import RecipeError
from luthier.training.frozen import WithoutFrozen


class Net(pl.LightningModule):
    """A weight that moves, one that is frozen with something of its own beside it, and one that rests for a while."""

    def __init__(self) -> None:
        super().__init__()
        self.moving, self.resting = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)
        self.quantized = nn.Linear(2, 2, bias=False).requires_grad_(False)
        self.quantized.register_state_dict_post_hook(scales)


def scales(module, state, prefix, metadata):
    state[f"{prefix}weight.absmax"] = torch.ones(1)


def saved(callback, net):
    checkpoint = {"state_dict": dict(net.state_dict())}
    callback.on_save_checkpoint(None, net, checkpoint)
    return checkpoint


def test_what_is_frozen_is_left_out_with_all_that_belongs_to_it():
    net = Net()
    assert set(saved(WithoutFrozen(), net)["state_dict"]) == {"moving.weight", "resting.weight"}


def test_what_rests_for_a_while_is_saved_all_the_same():
    net, callback = Net(), WithoutFrozen()
    callback.on_fit_start(None, net)
    net.resting.requires_grad_(False)
    checkpoint = saved(callback, net)
    assert "resting.weight" in checkpoint["state_dict"]
    fresh = Net()
    fresh.quantized.load_state_dict({"weight": net.quantized.weight}, strict=False)
    WithoutFrozen().on_load_checkpoint(None, fresh, checkpoint)


def test_a_checkpoint_of_other_frozen_weights_is_refused():
    with pytest.raises(RecipeError, match="frozen weights"):
        WithoutFrozen().on_load_checkpoint(None, Net(), saved(WithoutFrozen(), Net()))
