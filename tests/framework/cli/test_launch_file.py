"""`luthier launch-file`: a file that the cluster takes, with a command line that luthier takes."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml

from tests.framework.cli.conftest import here, luthier, session_cache

__all__ = ["here", "luthier", "session_cache"]

TWO = ("recipe=quickstart", "trainer=ddp", "trainer.accelerator=gpu", "trainer.devices=8", "trainer.num_nodes=2")
ON_PODS = ("--kind", "k8s", "--image", "me/luthier:1", "--volume", "work")
TEXT = {"type": "string"}
OF_SKYPILOT = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        **dict.fromkeys(("name", "workdir", "setup", "run"), TEXT),
        "resources": {
            "type": "object",
            "additionalProperties": False,
            "properties": dict.fromkeys(("accelerators", "cpus", "memory", "image_id"), TEXT),
        },
    },
}
"""Of SkyPilot 0.14's own schemas (sky/utils/schemas.py, get_task_schema and get_resources_schema) what luthier says."""
OF_SBATCH = {
    "job-name": r"[a-z0-9-]+", "nodes": r"\d+", "ntasks-per-node": r"\d+", "gpus-per-node": r"(\w+:)?\d+",
    "cpus-per-task": r"\d+", "mem": r"\d+G", "time": r"\d\d+:\d\d:\d\d", "signal": r"TERM@\d+", "output": r"\S+%j\S*",
    "open-mode": "append", "requeue": "",
}  # fmt: skip
"""Options of `man sbatch`, and the form of each."""


def settings(script: str) -> dict[str, str]:
    return dict(re.findall(r"^#SBATCH --([a-z-]+)=?(.*)$", script, re.M))


def composes(luthier, command: list[str]) -> None:
    assert command[0] == "luthier"
    end = luthier(*command[1:], "--cfg", "job")
    assert end.code == 0, end.err


def test_a_script_of_slurm_starts_a_task_for_each_device_by_a_command_that_composes(luthier, here, tmp_path):
    end = luthier(
        "launch-file", "--kind", "slurm", *TWO, "--time", "1.5d", "--gpu", "h100", "--cpus", "64", "name=Big_1",
        "--memory", "500", "--output", "jobs/big.sbatch", "data.splits.test=0.1",
    )  # fmt: skip
    assert end.code == 0, end.err
    script = Path("jobs/big.sbatch")
    said = settings(script.read_text())
    assert all(re.fullmatch(OF_SBATCH[name], value) for name, value in said.items()), said
    assert (said["nodes"], said["ntasks-per-node"], said["gpus-per-node"]) == ("2", "8", "h100:8")
    assert (said["time"], said["cpus-per-task"], said["mem"]) == ("36:00:00", "8", "500G")
    assert subprocess.run(["bash", "-n", str(script)]).returncode == 0
    srun, _, *command = shlex.split(script.read_text().splitlines()[-1])
    assert srun == "srun"
    assert {"name=Big_1", "resume=auto", "data.splits.test=0.1"} <= set(command), "flags may stand between overrides"
    composes(luthier, command)


def test_pods_of_kubernetes_find_the_first_of_them(luthier):
    end = luthier("launch-file", *ON_PODS, *TWO, "name=big", "--gpu", "NVIDIA-H100", "--time", "2h", "--memory", "500")
    assert end.code == 0, end.err
    service, job = yaml.safe_load_all(end.out)
    for manifest in (service, job):
        kubernetes_validate.validate(manifest, "1.35", strict=True)
    pod = job["spec"]["template"]["spec"]
    container = pod["containers"][0]
    assert (job["spec"]["completions"], job["spec"]["parallelism"], job["spec"]["completionMode"]) == (2, 2, "Indexed")
    assert container["resources"]["limits"] == {"nvidia.com/gpu": "8", "memory": "500Gi"}
    assert pod["subdomain"] == service["metadata"]["name"] == "big"
    env = {one["name"]: one.get("value") for one in container["env"]}
    assert env == {"MASTER_ADDR": "big-0.big", "MASTER_PORT": "29500", "NODE_RANK": None}
    composes(luthier, container["command"])


def test_one_machine_of_kubernetes_needs_no_service(luthier):
    end = luthier("launch-file", *ON_PODS, "recipe=quickstart", "name=small", "--cpus", "4")
    assert end.code == 0, end.err
    (job,) = yaml.safe_load_all(end.out)
    kubernetes_validate.validate(job, "1.35", strict=True)
    assert job["spec"]["template"]["spec"]["containers"][0]["env"] == []


def test_a_task_of_skypilot_says_what_it_rents(luthier):
    end = luthier(
        "launch-file",
        "--kind",
        "sky",
        "recipe=quickstart",
        "trainer=ddp",
        "trainer.accelerator=gpu",
        "trainer.devices=4",
        "--gpu",
        "H100",
    )
    assert end.code == 0, end.err
    task = yaml.safe_load(end.out)
    jsonschema.validate(task, OF_SKYPILOT)
    assert task["resources"] == {"accelerators": "H100:4"}
    composes(luthier, shlex.split(task["run"]))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--kind", "slurm", "recipe=quickstart", "trainer=ddp"), "trainer.devices is auto, and a job file says how"),
        (("--kind", "slurm", "recipe=quickstart", "--image", "a"), "A job file of SLURM cannot say --image."),
        (("--kind", "k8s", "recipe=quickstart", "--image", "a"), "A job of Kubernetes needs --volume."),
        ((*ON_PODS, "recipe=quickstart", "--gpu", "A"), "The recipe trains on no GPU."),
        (("--kind", "sky", "recipe=quickstart", "trainer=gpu"), "SkyPilot wants the name of the GPU."),
        (("--kind", "sky", *TWO, "--gpu", "H100"), "Machines that SkyPilot rents see no folder together"),
        (("--kind", "slurm", "recipe=quickstart", "--cpus", "0"), "--cpus is 0."),
        (("--kind", "slurm", "recipe=quikstart"), "There is no answer 'quikstart' to recipe."),
    ],
)
def test_what_no_job_can_be_made_of_is_refused(words, says, luthier):
    end = luthier("launch-file", *words, "--json")
    assert end.code == 2, end.err
    assert end.error["message"].startswith(says), end.error
