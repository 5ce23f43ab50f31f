"""Losses of the low-rank family are those of a plain loop with PEFT, torch and transformers, and nothing of luthier."""

from __future__ import annotations

import peft
import pytest
import pytorch_lightning as pl
import torch
from peft import AdaLoraConfig, BOFTConfig, LoHaConfig, LoKrConfig, LoraConfig, OFTConfig, VeraConfig
from transformers import get_cosine_schedule_with_warmup

from luthier.testing.adaptation import train
from luthier.testing.twin import twin

STEPS, RATE = 6, 0.003
WORDS = (
    "stages=[fit]", f"trainer.max_steps={STEPS}", "trainer.epochs=9", "batch.packing=false", "batch.micro=2",
    f"optimizer.lr={RATE}", "optimizer.weight_decay=0", "optimizer/schedule=cosine", "optimizer.schedule.warmup=0.0",
)  # fmt: skip
ALL = "all-linear"
KINDS = {
    "lora": (["adaptation.rank=4"], LoraConfig(r=4, lora_alpha=32, target_modules=ALL)),
    "dora": (["adaptation.rank=4"], LoraConfig(r=4, lora_alpha=32, target_modules=ALL, use_dora=True)),
    "rslora": (["adaptation.rank=9"], LoraConfig(r=9, lora_alpha=32, target_modules=ALL, use_rslora=True)),
    "lora_plus": (["adaptation.rank=4"], LoraConfig(r=4, lora_alpha=32, target_modules=ALL)),
    "pissa": (
        ["adaptation.rank=4", "adaptation.iterations=null"],
        LoraConfig(r=4, lora_alpha=16, target_modules=ALL, init_lora_weights="pissa"),
    ),
    "olora": (["adaptation.rank=4"], LoraConfig(r=4, lora_alpha=16, target_modules=ALL, init_lora_weights="olora")),
    "vera": (["adaptation.rank=16"], VeraConfig(r=16, target_modules=ALL)),
    "adalora": (
        ["adaptation.rank=6", "adaptation.target=3", "adaptation.warmup=0.0", "adaptation.settle=0.34"],
        AdaLoraConfig(
            init_r=6, target_r=3, lora_alpha=32, target_modules=ALL, tinit=0, tfinal=2, deltaT=1, total_step=STEPS
        ),
    ),
    "loha": (["adaptation.rank=2"], LoHaConfig(r=2, alpha=16, target_modules=ALL)),
    "lokr": (["adaptation.rank=4"], LoKrConfig(r=4, alpha=32, target_modules=ALL)),
    "oft": (
        ["adaptation.block=8"],
        OFTConfig(oft_block_size=8, target_modules=ALL, use_cayley_neumann=True, num_cayley_neumann_terms=5),
    ),
    "boft": ([], BOFTConfig(boft_block_size=4, boft_n_butterfly_factor=1, target_modules=ALL)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_losses_are_those_of_a_plain_loop(kind, tmp_path):
    words, config = KINDS[kind]
    config.task_type = "CAUSAL_LM"
    ours = train(tmp_path / "ours", f"adaptation={kind}", *words, *WORDS).losses()
    run = twin(tmp_path / "plain", *WORDS)
    assert ours == pytest.approx(plain_losses(run, config, kind), rel=2e-5)
    assert ours[0] != pytest.approx(ours[-1], rel=1e-3), "something was learned"


def plain_losses(run, config, kind):
    """A loop as PEFT's documentation shows it, over the same rows in the same order."""
    batches = [batch for epoch in range(9) for batch in run.data.train_dataloader().batches.of(epoch)][:STEPS]
    network = run.model.network()
    network.set_attn_implementation("eager")
    pl.seed_everything(0, verbose=False)
    network = peft.get_peft_model(network, config).train()
    optimizer = optimizer_of(network, kind)
    schedule = get_cosine_schedule_with_warmup(optimizer, 0, STEPS)
    losses = []
    for step, batch in enumerate(batches, 1):
        labels = batch.input_ids.masked_fill(batch.weights == 0, -100)
        inputs = {"input_ids": batch.input_ids, "attention_mask": (batch.segments > 0).long()}
        loss = network(**inputs, labels=labels).loss
        losses.append(float(loss) - penalty(network, kind))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if kind == "adalora":
            network.base_model.update_and_allocate(step)
        optimizer.zero_grad()
    return losses


def optimizer_of(network, kind):
    if kind == "lora_plus":
        from peft.optimizers import create_loraplus_optimizer

        return create_loraplus_optimizer(
            network, torch.optim.AdamW, lr=RATE, loraplus_lr_ratio=16, loraplus_weight_decay=0.0, weight_decay=0.0
        )
    return torch.optim.AdamW(
        [weight for weight in network.parameters() if weight.requires_grad], lr=RATE, weight_decay=0
    )


def penalty(network, kind):
    """What AdaLoRA adds to the loss that PEFT reports, and luthier does not report."""
    if kind != "adalora":
        return 0.0
    apart = []
    for name, weight in network.named_parameters():
        if "lora_A" in name or "lora_B" in name:
            product = weight @ weight.T if "lora_A" in name else weight.T @ weight
            apart.append(torch.linalg.matrix_norm(product - torch.eye(len(product))))
    return 0.5 * float(sum(apart)) / len(apart)
