"""`luthier export RUN FOLDER`: write the network, its adapter merged, as plain transformers load it."""

from __future__ import annotations

import argparse
from pathlib import Path

from luthier.cli.call import Call


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="the folder of a finished run, or an artifact")
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="a new folder for config, weights and tokenizer")

    parser.add_argument(
        "--without-prompt", action="store_true", help="leave out what the run's prompt says; else the template has it"
    )


def act(call: Call) -> int:
    from luthier.workflows.artifact import load
    from luthier.workflows.earlier_run import LOSSY
    from luthier.workflows.exported import describe

    folder: Path = call.arguments.folder
    artifact = load(call.arguments.run, plugins=call.plugins, vouched=tuple(call.flags.trusted))
    proof = artifact.export(folder, prompted=not call.arguments.without_prompt)
    call.console.say(f"{folder}: {proof}.")
    if proof.lossy:
        call.console.say(f"warning: {folder}: {LOSSY}")
    describe(artifact.folder, folder, proof)
    call.console.data(str(folder), {"folder": str(folder), "proof": proof.as_json()})
    return 0
