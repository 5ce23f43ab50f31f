"""Write trl_reference.json: TRL's generalized Jensen-Shannon divergence of the logits in tiny_logits.py.

Run it where TRL is installed, from this folder: python make_trl_reference.py
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
import trl
from tiny_logits import LABELS, logits
from trl.experimental.gkd import GKDTrainer

BETAS, TEMPERATURES = [0.0, 0.1, 0.5, 0.9, 1.0], [0.7, 1.0, 2.0]

if __name__ == "__main__":
    cases = []
    for beta in BETAS:
        for temperature in TEMPERATURES:
            student, teacher = logits(1).requires_grad_(), logits(2)
            labels = torch.tensor(LABELS)
            loss = GKDTrainer.generalized_jsd_loss(student, teacher, labels, beta, temperature)
            loss.backward()
            gradient = student.grad.flatten()[:12].tolist()
            cases.append({"beta": beta, "temperature": temperature, "loss": loss.item(), "gradient": gradient})
    reference = {"trl": trl.__version__, "torch": torch.__version__, "cases": cases}
    Path("trl_reference.json").write_text(json.dumps(reference, indent=1) + "\n")
