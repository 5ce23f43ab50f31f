"""Write trl_reference.json: what TRL's own trainers say of the pairs in tiny_pairs.py.

Run it where TRL is installed, from this folder: python make_trl_reference.py
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
import transformers
import trl
from datasets import Dataset
from tiny_pairs import PAIRS, network
from tokenizers import Tokenizer, models
from trl import DPOConfig, DPOTrainer
from trl.experimental.cpo import CPOTrainer
from trl.experimental.orpo import ORPOTrainer

BETA, SMOOTHING = 0.3, 0.2
LOOKED_AT = ["lm_head.weight", "model.norm.weight", "model.layers.0.self_attn.v_proj.weight"]
LOSSES = {
    "sigmoid": {},
    "hinge": {},
    "ipo": {},
    "exo_pair": {"label_smoothing": SMOOTHING},
    "nca_pair": {},
    "robust": {"label_smoothing": SMOOTHING},
    "apo_zero": {},
    "apo_down": {},
    "sigmoid_norm": {},
}


def trainer(**settings: Any) -> DPOTrainer:
    vocabulary = {f"t{number}": number for number in range(64)}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="t0"))
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=words, pad_token="t0", eos_token="t2")
    config = DPOConfig(output_dir=tempfile.mkdtemp(), beta=BETA, report_to=[], use_cpu=True, bf16=False, **settings)
    rows = Dataset.from_list([{"prompt": "t5", "chosen": "t6", "rejected": "t7"}])
    return DPOTrainer(network(0.0), network(1.0), args=config, train_dataset=rows, processing_class=tokenizer)


def losses(made: DPOTrainer, pairs: list[dict[str, Any]]) -> float:
    batch = made.data_collator(pairs)
    with torch.no_grad():
        return float(made.compute_loss(made.model.eval(), batch))


def gradients(made: DPOTrainer) -> dict[str, list[float]]:
    made.model.zero_grad()
    made.compute_loss(made.model.eval(), made.data_collator(PAIRS)).backward()
    named = dict(made.model.named_parameters())
    return {name: named[name].grad.flatten()[:5].tolist() for name in LOOKED_AT}


def log_probs(of: Any) -> list[list[float]]:
    found = []
    for pair in PAIRS:
        both = []
        for answer in (pair["chosen_ids"], pair["rejected_ids"]):
            ids = torch.tensor([pair["prompt_ids"] + answer])
            with torch.no_grad():
                each = of(input_ids=ids).logits[0, :-1].log_softmax(-1).gather(1, ids[0, 1:, None])
            both.append(float(each[-len(answer) :].sum()))
        found.append(both)
    return found


def main() -> None:
    found: dict[str, Any] = {"versions": {"trl": trl.__version__, "torch": torch.__version__}, "beta": BETA}
    found["versions"]["transformers"] = transformers.__version__
    found["dpo"] = {}
    for name, more in LOSSES.items():
        made = trainer(loss_type=[name], **more)
        found["dpo"][name] = {
            "settings": more,
            "mean": losses(made, PAIRS),
            "of_each": [losses(made, [pair]) for pair in PAIRS],
            "gradients": gradients(made),
        }
    mixed = trainer(loss_type=["sigmoid", "apo_zero"], loss_weights=[0.7, 1.3])
    found["mixture"] = losses(mixed, PAIRS)
    sums = torch.tensor(log_probs(network(0.0)))
    tokens = torch.tensor([[len(pair["chosen_ids"]), len(pair["rejected_ids"])] for pair in PAIRS])
    mean = sums / tokens
    here = SimpleNamespace(device="cpu")
    stub = SimpleNamespace(
        alpha=0.0, beta=2.0, simpo_gamma=0.7, label_smoothing=0.1, loss_type="simpo", accelerator=here
    )
    found["simpo"] = CPOTrainer.cpo_loss(stub, mean[:, 0], mean[:, 1])[0].tolist()
    stub.loss_type, stub.beta, stub.label_smoothing = "sigmoid", BETA, SMOOTHING
    found["cpo_without_nll"] = CPOTrainer.cpo_loss(stub, sums[:, 0], sums[:, 1])[0].tolist()
    found["orpo_without_nll"] = (-ORPOTrainer.odds_ratio_loss(stub, mean[:, 0], mean[:, 1])[0]).tolist()
    Path(__file__).with_name("trl_reference.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
