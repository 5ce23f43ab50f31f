"""The tiny training on two ranks: `python rank_training.py ORDER`, where ORDER is JSON; each rank runs this file."""

from __future__ import annotations

import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import tiny_training
import torch

from luthier.errors import LuthierError, NumericsError
from luthier.training.launcher import Ddp


class Half(tiny_training.Loader):
    """Every second row, by rank."""

    def __iter__(self) -> Any:
        for batch in super().__iter__():
            yield tiny_training.rows([batch.examples[int(os.environ.get("LOCAL_RANK", 0))]])


def main(order: dict[str, Any]) -> None:
    fault = order.pop("rank_fault", None)
    rank = int(os.environ.get("LOCAL_RANK", 0))
    if fault and rank == 1 and fault[0] == "startup":
        raise NumericsError("This rank does not even start.")
    told = [sys.executable, __file__, sys.argv[1]]
    strategy = Ddp(command=lambda: told, process_group_backend="gloo")
    own = tuple(fault) if fault and rank == fault_rank(fault) else None
    tiny_training.Loader = Half
    tiny_training.train(
        tiny_training.Order(
            Path(order.pop("folder")), fault=own and own[:3], trainer={"strategy": strategy, "devices": 2}, **order
        )
    )
    left = [name for name in ("LOCAL_RANK", "MASTER_ADDR", "WORLD_SIZE") if name in os.environ]
    if rank == 0:
        assert left == [], left
        assert not torch.distributed.is_initialized()


def fault_rank(fault: list[Any]) -> int:
    return int(fault[3])


if __name__ == "__main__":
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    try:
        main(json.loads(sys.argv[1]))
    except LuthierError as error:
        print(f"rank {os.environ.get('LOCAL_RANK', 0)}: {error}", file=sys.stderr)
        raise SystemExit(error.code) from error
