"""`luthier launch-file --kind slurm|k8s|sky <answers>`: write the job file by which a cluster carries a recipe out."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from luthier.cli import session
from luthier.cli.call import Call
from luthier.cli.hydra_arguments import seconds
from luthier.disk.writing import write_text
from luthier.errors import RecipeError

KINDS = {"slurm": "slurm", "k8s": "kubernetes", "sky": "skypilot"}
WISHES: dict[str, tuple[Callable[[str], Any], str, str]] = {
    "gpu": (str, "TYPE", "the name of the GPU, as the cluster calls it"),
    "cpus": (int, "N", "processor cores of each machine"),
    "memory": (int, "GB", "memory of each machine"),
    "time": (seconds, "2h", "the longest that the job may take"),
    "image": (str, "IMAGE", "a container image with luthier and the plugins of the recipe (k8s, sky)"),
    "volume": (str, "CLAIM", "the claim for the volume that keeps runs (k8s)"),
}


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("answers", nargs="*", metavar="key=value", help="the recipe, as for `luthier recipe=…`")
    parser.add_argument("--kind", required=True, choices=KINDS, help="the cluster: SLURM, Kubernetes or SkyPilot")
    for name, (kind, word, meaning) in WISHES.items():
        parser.add_argument(f"--{name}", type=kind, metavar=word, help=meaning)
    parser.add_argument("--output", metavar="FILE", type=Path, help="write it there instead of printing it")
    parser.add_argument("--config-dir", metavar="DIR", help="a further folder of recipes")


def act(call: Call) -> int:
    from luthier.workflows.launch_files.cluster_job import ClusterJob, Wishes

    arguments = call.arguments
    for name in ("cpus", "memory"):
        if (value := getattr(arguments, name)) is not None and value < 1:
            raise RecipeError(f"--{name} is {value}.", where=f"--{name}", hint="Use 1 or more.")
    composer = call.composer(arguments.config_dir)
    composition = composer.compose(arguments.answers)
    is_named = "name" in {word.key for word in composer.words(arguments.answers)}
    name = str(composition.config.name) if is_named else session.run_name(composition.recipe.replace("/", "-"))
    job = ClusterJob.of(composition, call.flags.again(arguments.config_dir), arguments.answers, name)
    writer = import_module(f"luthier.workflows.launch_files.{KINDS[arguments.kind]}")
    text: str = writer.job_file(job, Wishes(**{wish: getattr(arguments, wish) for wish in WISHES}))
    if arguments.output is None:
        call.console.data(text.rstrip("\n"), {"name": job.name, "text": text})
        return 0
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    write_text(arguments.output, text)
    call.console.data(str(arguments.output), {"name": job.name, "file": str(arguments.output)})
    return 0
