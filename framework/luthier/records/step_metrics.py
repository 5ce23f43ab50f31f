"""step_wise_training_metrics.csv: the course of a training in the columns that Amazon Bedrock's jobs write."""

from __future__ import annotations

import csv
import math
from io import StringIO
from pathlib import Path

from luthier.disk.writing import write_text
from luthier.records.events import complete_lines

NAME = "step_wise_training_metrics.csv"


def write(metrics: Path, folder: Path, *, likelihood: bool = True) -> None:
    """From metrics.jsonl: step_number and epoch_number from 0, training_loss in nats, perplexity; numbers only.

    A loss that is no likelihood has no perplexity: its column stays empty.
    """
    stream = StringIO(newline="")
    table = csv.writer(stream)
    table.writerow(["step_number", "epoch_number", "training_loss", "perplexity"])
    for line in complete_lines(metrics) if metrics.is_file() else []:
        if "loss" in line:
            loss = float(line["loss"])
            perplexity = math.exp(min(loss, 700.0)) if likelihood else ""
            table.writerow([line["step"] - 1, line["epoch"], loss, perplexity])
    write_text(folder / NAME, stream.getvalue())
