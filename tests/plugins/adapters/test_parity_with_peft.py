"""Losses of the low-rank family are those of a plain loop with PEFT, torch and transformers, and nothing of luthier."""

from __future__ import annotations

from importlib.util import find_spec
from itertools import islice

import peft
import pytest
import pytorch_lightning as pl
import torch
from peft import AdaLoraConfig, BOFTConfig, EvaConfig, LoHaConfig, LoKrConfig, LoraConfig, OFTConfig, VeraConfig
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, get_cosine_schedule_with_warmup

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
    "eva": (
        ["adaptation.rank=4", "adaptation.batches=2", "adaptation.passes=1000", "adaptation.tau=0.8"],
        LoraConfig(
            r=4, lora_alpha=32, target_modules=ALL, init_lora_weights="eva", eva_config=EvaConfig(rho=2.0, tau=0.8)
        ),
    ),
    "qlora": (["adaptation.rank=4", "adaptation.compute=float32"], LoraConfig(r=4, lora_alpha=32, target_modules=ALL)),
    "boft": ([], BOFTConfig(boft_block_size=4, boft_n_butterfly_factor=1, target_modules=ALL)),
}


NEEDS = {"qlora": "bitsandbytes"}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if find_spec(NEEDS.get(kind, "peft"))])
def test_losses_are_those_of_a_plain_loop(kind, tmp_path):
    words, config = KINDS[kind]
    config.task_type = "CAUSAL_LM"
    ours = train(tmp_path / "ours", f"adaptation={kind}", *words, *WORDS).losses()
    run = twin(tmp_path / "plain", *WORDS)
    assert ours == pytest.approx(plain_losses(run, config, kind, tmp_path / "base"), rel=1e-4)
    assert ours[0] != pytest.approx(ours[-1], rel=1e-3), "something was learned"


def plain_losses(run, config, kind, folder):
    """A loop as PEFT's documentation shows it, over the same rows in the same order."""
    batches = [batch for epoch in range(9) for batch in run.data.train_dataloader().batches.of(epoch)][:STEPS]
    network = run.model.network()
    if kind == "qlora":
        network.save_pretrained(folder)
        four_bits = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype="float32",
        )  # fmt: skip
        network = AutoModelForCausalLM.from_pretrained(folder, quantization_config=four_bits, dtype=torch.float32)
    network.set_attn_implementation("eager")
    pl.seed_everything(0, verbose=False)
    network = peft.get_peft_model(network, config)
    if kind == "eva":
        seen = [plain_inputs(batch) for batch in islice(run.data.first_batches(), 2)]
        peft.initialize_lora_eva_weights(network, seen, gather_distributed_inputs=False, show_progress_bar=False)
    network.train()
    optimizer = optimizer_of(network, kind)
    schedule = get_cosine_schedule_with_warmup(optimizer, 0, STEPS)
    losses = []
    for step, batch in enumerate(batches, 1):
        labels = batch.input_ids.masked_fill(batch.weights == 0, -100)
        loss = network(**plain_inputs(batch), labels=labels).loss
        losses.append(float(loss) - penalty(network, kind))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if kind == "adalora":
            network.base_model.update_and_allocate(step)
        optimizer.zero_grad()
    return losses


def plain_inputs(batch):
    return {"input_ids": batch.input_ids, "attention_mask": (batch.segments > 0).long()}


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
