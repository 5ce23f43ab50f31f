"""The cluster that ranks run on, as Lightning is told of it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment

from luthier.errors import RecipeError
from luthier.records.ranks import started_together, tasks_of_slurm


def environments() -> Sequence[ClusterEnvironment]:
    """SLURM's without Lightning's own way to requeue a job, where `srun` started the ranks; else what Lightning sees.

    Within a batch script of SLURM that starts luthier once, luthier starts the ranks itself. RecipeError where the
    tasks are not said for each machine.
    """
    if TorchElasticEnvironment.detect() or not (tasks_of_slurm() > 1 or SLURMEnvironment.detect()):
        return []
    if tasks_of_slurm() == 1:
        return [LightningEnvironment()]
    try:
        return [SLURMEnvironment(auto_requeue=False)]
    except RuntimeError as error:  # it wants --ntasks-per-node
        raise RecipeError(str(error), where="trainer.num_nodes") from error


def refuse_another_number(devices: int | str, num_nodes: int, *, on_gpu: bool) -> None:
    """RecipeError where torchrun or SLURM started another number of processes than a trainer has devices."""
    starter, started = started_together()
    each = devices_used(devices, on_gpu=on_gpu)
    if starter and started != num_nodes * each:
        raise RecipeError(
            f"{starter} started {started} processes, and the trainer is for {each} on each of {num_nodes} machines.",
            where="trainer.devices",
            hint="Use trainer=ddp or trainer=fsdp with trainer.devices and trainer.num_nodes as there are processes "
            "and machines, or start luthier once: it starts the ranks of one machine itself.",
        )


def devices_used(devices: int | str, *, on_gpu: bool) -> int:
    """How many devices of each machine Lightning uses for a setting of the trainer, one rank each."""
    if devices in ("auto", -1, "-1"):
        return torch.cuda.device_count() if on_gpu else 1
    if isinstance(devices, int):
        return devices
    return len([one for one in devices.split(",") if one.strip()]) if "," in devices else int(devices)


def refuse_several(devices: int | str, num_nodes: int, *, on_gpu: bool) -> None:
    """RecipeError where a strategy for one device is given several: nothing would start and watch their processes."""
    there = num_nodes * devices_used(devices, on_gpu=on_gpu)
    if there > 1:
        raise RecipeError(
            f"trainer/strategy=single is for one device, and trainer.devices and trainer.num_nodes make {there}.",
            where="trainer.devices",
            hint="Use trainer=ddp, in which each device holds the whole network, or trainer=fsdp.",
        )
