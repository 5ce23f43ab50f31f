"""A batch script of SLURM, which starts one process for each device with srun."""

from __future__ import annotations

from luthier.workflows.launch_files.cluster_job import ClusterJob, Wishes, clock

GRACE = 120
"""Seconds before the end of its time at which a job is told to save and end."""


def job_file(job: ClusterJob, wishes: Wishes) -> str:
    """The script; RecipeError where an image or a volume is asked for, which scripts of SLURM have no word for."""
    wishes.refuse("SLURM", "image", "volume")
    settings = {
        "job-name": job.label,
        "nodes": job.machines,
        "ntasks-per-node": job.devices,
        "gpus-per-node": (f"{wishes.gpu}:{job.devices}" if wishes.gpu else job.devices) if job.on_gpus else None,
        "cpus-per-task": wishes.cpus and max(1, wishes.cpus // job.devices),
        "mem": wishes.memory and f"{wishes.memory}G",
        "time": wishes.time and clock(wishes.time),
        "signal": f"TERM@{GRACE}",
        "output": f"{job.label}-%j.log",
        "open-mode": "append",
    }
    said = "\n".join(f"#SBATCH --{name}={value}" for name, value in settings.items() if value is not None)
    return (
        f"#!/bin/bash\n{said}\n#SBATCH --requeue\n\n"
        "# Submit it with sbatch, in the folder that holds runs/ and is seen by all machines; again, to go on.\n"
        f"set -euo pipefail\nsrun --kill-on-bad-exit=1 {job.command}\n"
    )
