"""A job of Kubernetes: a pod for each machine, found by the others under the name of a headless service."""

from __future__ import annotations

from typing import Any

import yaml

from luthier.errors import RecipeError
from luthier.workflows.launch_files.cluster_job import PORT, ClusterJob, Wishes

GPU = "nvidia.com/gpu"
PRODUCT = "nvidia.com/gpu.product"
"""The label that NVIDIA's feature discovery gives to a machine."""
INDEX = "metadata.annotations['batch.kubernetes.io/job-completion-index']"
WORK = "/work"


def job_file(job: ClusterJob, wishes: Wishes) -> str:
    """The manifests; RecipeError without an image, and without a volume that keeps runs and all pods see."""
    for name, value, meaning in (("image", wishes.image, "IMAGE"), ("volume", wishes.volume, "CLAIM")):
        if value is None:
            raise RecipeError(
                f"A job of Kubernetes needs --{name}.", where=f"--{name}", hint=f"Add --{name} {meaning}."
            )
    if wishes.gpu is not None and not job.on_gpus:
        raise RecipeError("The recipe trains on no GPU.", where="--gpu", hint="Use trainer=gpu, or leave --gpu out.")
    manifests = [_service(job), _job(job, wishes)] if job.machines > 1 else [_job(job, wishes)]
    return "---\n".join(yaml.safe_dump(one, sort_keys=False, width=120) for one in manifests)


def _service(job: ClusterJob) -> dict[str, Any]:
    """Gives each pod a name that the others find, before it is ready, too."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": job.label},
        "spec": {"clusterIP": "None", "publishNotReadyAddresses": True, "selector": {"job-name": job.label}},
    }


def _job(job: ClusterJob, wishes: Wishes) -> dict[str, Any]:
    limits = {
        GPU: job.devices if job.on_gpus else None,
        "cpu": wishes.cpus,
        "memory": wishes.memory and f"{wishes.memory}Gi",
    }
    container = {
        "name": "luthier",
        "image": wishes.image,
        "command": ["luthier", *job.words],
        "workingDir": WORK,
        "env": _meeting(job) if job.machines > 1 else [],
        "resources": {"limits": {name: str(value) for name, value in limits.items() if value is not None}},
        "volumeMounts": [{"name": "work", "mountPath": WORK}, {"name": "shared-memory", "mountPath": "/dev/shm"}],  # noqa: S108
    }
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 120,
        "containers": [container],
        "volumes": [
            {"name": "work", "persistentVolumeClaim": {"claimName": wishes.volume}},
            {"name": "shared-memory", "emptyDir": {"medium": "Memory"}},
        ],
    }
    if job.machines > 1:
        pod["subdomain"] = job.label
    if wishes.gpu is not None:
        pod["nodeSelector"] = {PRODUCT: wishes.gpu}
    spec = {
        "completions": job.machines,
        "parallelism": job.machines,
        "completionMode": "Indexed",
        "backoffLimit": 3 * job.machines,
        "template": {"spec": pod},
    }
    if wishes.time is not None:
        spec["activeDeadlineSeconds"] = int(wishes.time)
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": job.label}, "spec": spec}


def _meeting(job: ClusterJob) -> list[dict[str, Any]]:
    return [
        {"name": "MASTER_ADDR", "value": f"{job.label}-0.{job.label}"},
        {"name": "MASTER_PORT", "value": str(PORT)},
        {"name": "NODE_RANK", "valueFrom": {"fieldRef": {"fieldPath": INDEX}}},
    ]
