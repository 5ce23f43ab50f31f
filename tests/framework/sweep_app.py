"""A Hydra application with the Optuna sweeper and a job of one line: `python sweep_app.py -m …`."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig

from luthier.errors import NumericsError, ResourceError
from luthier.workflows.sweeps.optuna_sweeper import register

register()
ConfigStore.instance().store(
    name="config",
    node={
        "x": 0.0,
        "y": 1,
        "kind": "a",
        "kill_at": -1,
        "write": False,
        "hydra": {"sweep": {"dir": "sweep"}, "output_subdir": None},
    },
)


@hydra.main(version_base="1.3", config_name="config", config_path=None)
def job(config):
    number = int(HydraConfig.get().job.num)
    print(f"job {number}", config.x, config.y, config.kind, flush=True)
    if number == config.kill_at:
        os.kill(os.getpid(), signal.SIGKILL)
    if config.write:
        folder = Path(HydraConfig.get().runtime.output_dir) / "scores" / "after"
        folder.mkdir(parents=True)
        scores = {"loss": {"value": float(config.x)}, "accuracy": {"value": float(config.x) ** 2}}
        (folder / "scores.json").write_text(json.dumps({"scores": scores}))
    if config.kind == "pruned":
        run = Path(HydraConfig.get().runtime.output_dir)
        (run / "checkpoints" / "step-1").mkdir(parents=True)
        (run / "pruned.json").write_text(json.dumps({"step": 1, "value": 9.0}))
        raise ResourceError("Pruned by the sweep.")
    if config.kind == "broken":
        raise NumericsError("The loss is nan in step 3.")
    if config.kind == "endless":
        return float("nan")
    return (float(config.x) - 2) ** 2 + int(config.y)


job()
