"""Which of a run's processes this one is, as what started them says: luthier itself, torchrun or SLURM's srun."""

from __future__ import annotations

import os


def is_first_rank() -> bool:
    """Whether this process leads the run: it writes and prints. Known before the processes are connected."""
    if "RANK" in os.environ:
        return os.environ["RANK"] == "0"
    if tasks_of_slurm() > 1:
        return os.environ["SLURM_PROCID"] == "0"
    return {os.environ.get("NODE_RANK", "0"), os.environ.get("LOCAL_RANK", "0")} == {"0"}


def local_rank() -> int:
    """The number of this process on its machine, which is that of its GPU."""
    default = os.environ["SLURM_LOCALID"] if tasks_of_slurm() > 1 else "0"
    return int(os.environ.get("LOCAL_RANK", default))


def tasks_of_slurm() -> int:
    """How many processes the `srun` has started that this one is of; 1 elsewhere, in a batch script, too."""
    return int(os.environ.get("SLURM_STEP_NUM_TASKS", 1)) if "SLURM_PROCID" in os.environ else 1


def started_together() -> tuple[str, int]:
    """What started several processes for one run, and how many: `torchrun`, `srun`; else an empty text and 1."""
    if {"TORCHELASTIC_RUN_ID", "RANK", "WORLD_SIZE"} <= os.environ.keys():
        return "torchrun", int(os.environ["WORLD_SIZE"])
    return ("srun", tasks_of_slurm()) if tasks_of_slurm() > 1 else ("", 1)


def name_of_all() -> str | None:
    """A name that all processes started for one run know: of SLURM's job, or the run id given to torchrun."""
    starter, _ = started_together()
    if starter == "srun":
        return f"slurm-{os.environ['SLURM_JOB_ID']}"
    name = os.environ.get("TORCHELASTIC_RUN_ID", "none")
    return None if name == "none" else name
