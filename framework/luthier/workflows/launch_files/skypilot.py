"""A task of SkyPilot, which rents the machine."""

from __future__ import annotations

from typing import Any

import yaml

from luthier.errors import RecipeError
from luthier.version import __version__
from luthier.workflows.launch_files.cluster_job import ClusterJob, Wishes


def job_file(job: ClusterJob, wishes: Wishes) -> str:
    """The task; RecipeError where it trains on GPUs and `gpu` does not name them, and for several machines."""
    wishes.refuse("SkyPilot", "time", "volume")
    if job.machines > 1:
        raise RecipeError(
            "Machines that SkyPilot rents see no folder together, in which the ranks of a run find its checkpoints.",
            where="trainer.num_nodes",
            hint="Use one machine, or --kind slurm or k8s.",
        )
    if job.on_gpus is not (wishes.gpu is not None):
        sentence = "SkyPilot wants the name of the GPU." if job.on_gpus else "The recipe trains on no GPU."
        hint = "Add --gpu H100, for example." if job.on_gpus else "Use trainer=gpu, or leave --gpu out."
        raise RecipeError(sentence, where="--gpu", hint=hint)
    resources: dict[str, Any] = {
        "accelerators": f"{wishes.gpu}:{job.devices}" if wishes.gpu else None,
        "cpus": wishes.cpus and f"{wishes.cpus}+",
        "memory": wishes.memory and f"{wishes.memory}+",
        "image_id": wishes.image and f"docker:{wishes.image}",
    }
    task = {
        "name": job.label,
        "resources": {name: value for name, value in resources.items() if value is not None},
        "workdir": ".",
        "setup": None if wishes.image else f"pip install 'luthier=={__version__}'",
        "run": job.command,
    }
    return yaml.safe_dump(
        {name: value for name, value in task.items() if value is not None}, sort_keys=False, width=120
    )
