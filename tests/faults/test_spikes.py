"""Rows 27 and 30 of the fault catalogue: spikes of the loss, and trained weights that no gradient reaches."""

from __future__ import annotations

import json
import random
import shutil

import pytest
import pytorch_lightning as pl
import torch

from luthier.errors import NumericsError
from luthier.records.events import EventLog
from luthier.testing.twin import twin
from luthier.training.spikes import MOST, WINDOW, LossWindow, Spikes


def healthy(seed: int, steps: int = 1000) -> list[float]:
    """A loss that falls, with the noise of small batches."""
    draw = random.Random(seed)
    return [1.5 + 4 / (1 + step / 50) + draw.gauss(0, 0.15) for step in range(steps)]


@pytest.mark.parametrize("seed", range(20))
def test_row_27_a_healthy_curve_raises_no_alarm(seed):
    window = LossWindow()
    assert not [loss for loss in healthy(seed) if window.add(loss)]


@pytest.mark.parametrize("at", [WINDOW, 500, 999])
def test_row_27_a_spike_of_twenty_times_the_loss_is_flagged_once(at):
    losses = healthy(3)
    losses[at] *= 20
    window = LossWindow()
    assert [step for step, loss in enumerate(losses) if window.add(loss)] == [at]


def test_row_27_a_window_goes_on_where_it_was_saved():
    losses, whole, cut = healthy(1), LossWindow(), LossWindow()
    losses[400] *= 3
    for loss in losses[:300]:
        whole.add(loss), cut.add(loss)
    resumed = LossWindow()
    resumed.load_state_dict(json.loads(json.dumps(cut.state_dict())))
    assert [whole.add(loss) for loss in losses[300:]] == [resumed.add(loss) for loss in losses[300:]]


class Before(pl.Callback):
    """A training that has 128 steps behind it, `spikes` of them with a spike; its third loss is 20 times as large."""

    def __init__(self, spikes):
        self.spikes = spikes

    def on_train_start(self, trainer, module):
        window = next(one for one in trainer.callbacks if isinstance(one, Spikes)).window
        window.losses.extend(7 + 0.01 * (number % 5) for number in range(WINDOW))
        window.spiked.extend([True] * self.spikes)
        inner = module.loss

        def loss(batch):
            found = inner(batch)
            if trainer.global_step == 2:
                found.sum = found.sum * 20
            return found

        module.loss = loss


def run(folder, *words, spikes=0):
    made = twin(folder, "stages=[fit]", "adaptation=lora", "batch.micro=2", "trainer.max_steps=4", *words)
    made.callbacks.append(Before(spikes))
    made.train()
    return made


def weights(made):
    return torch.cat([one.detach().flatten() for _, one in made.method.trainable_weights()])


def test_row_27_one_spike_is_flagged_or_skipped_and_fifty_end_the_run(tmp_path):
    flagged = run(tmp_path / "flag")
    events = [one for one in EventLog(tmp_path / "flag" / "events.jsonl").read() if one["event"] == "spike"]
    assert [(one["step"], one["skipped"]) for one in events] == [(3, False)]
    assert any("1 steps had a loss beyond 6" in warning for warning in flagged.method.warnings)
    skipped = run(tmp_path / "skip", "trainer.spikes=skip")
    assert not torch.equal(weights(flagged), weights(skipped))
    back = run(tmp_path / "back", "trainer.spikes=rollback", "trainer.checkpoint_every=1", "trainer.keep=9")
    (event,) = [one for one in EventLog(tmp_path / "back" / "events.jsonl").read() if one["event"] == "spike"]
    assert (event["step"], event["skipped"], event["back_to"]) == (3, True, 2)
    assert torch.equal(weights(back), weights(skipped)), "the newest checkpoint is of the step before"
    with pytest.raises(NumericsError, match=f"The losses of {MOST} of the last {MOST + 2} steps") as caught:
        run(tmp_path / "fifty", spikes=MOST - 1)
    assert caught.value.code == 4


def test_row_27_a_rollback_gives_back_weights_and_moments_of_an_older_checkpoint(tmp_path):
    """The checkpoint after step 1 is the newest: of step 2 nothing is left, and step 4 begins where step 2 did."""
    kept = {}

    class Look(pl.Callback):
        def on_train_batch_end(self, trainer, module, *_):
            (optimizer,) = trainer.optimizers
            moments = [one["exp_avg"].clone() for one in optimizer.state_dict()["state"].values()]
            kept[trainer.global_step] = [*(one.detach().clone() for one in module.parameters()), *moments]
            if trainer.global_step == 2:
                shutil.rmtree(tmp_path / "run" / "checkpoints" / "step-00000002", ignore_errors=True)

    made = twin(
        tmp_path / "run", "stages=[fit]", "adaptation=lora", "batch.micro=2", "trainer.max_steps=3",
        "trainer.checkpoint_every=1", "trainer.keep=9", "trainer.spikes=rollback",
    )  # fmt: skip
    made.callbacks += [Before(0), Look()]
    made.train()
    assert any(not torch.equal(one, other) for one, other in zip(kept[1], kept[2], strict=True))
    assert all(torch.equal(one, other) for one, other in zip(kept[1], kept[3], strict=True))


def test_row_30_trained_weights_that_no_gradient_reaches_are_named_with_the_cause(tmp_path):
    made = twin(
        tmp_path / "run", "stages=[fit]", "adaptation=lora",
        "trainer.max_steps=20", "trainer.epochs=20", "batch.micro=2"
    )  # fmt: skip
    adapt = made.method.configure_model

    def freeze():
        adapt()
        named = dict(made.method.network.named_parameters())
        for name, weight in named.items():
            if "layers.0.self_attn.q_proj.lora_B" in name:
                weight.requires_grad_(False)
        made.method.network.register_module("unused", torch.nn.Linear(2, 2, bias=False))

    made.method.configure_model = freeze
    made.train()
    told = " ".join(made.method.warnings)
    assert "layers.0.self_attn.q_proj.lora_A.default.weight): what they are multiplied with is 0 and frozen" in told
    assert "(network.unused.weight): no batch passes through their modules" in told
    assert [one for one in EventLog(tmp_path / "run" / "events.jsonl").read() if one["event"] == "dead_gradients"]
