"""`luthier export RUN FOLDER`: write the network, its adapter merged, as plain transformers or onnxruntime load it."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from luthier.cli.call import Call
from luthier.errors import RecipeError


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="the folder of a finished run, or an artifact")
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="a new folder for config, weights and tokenizer")

    parser.add_argument(
        "--without-prompt", action="store_true", help="leave out what the run's prompt says; else the template has it"
    )
    parser.add_argument(
        "--to",
        choices=("transformers", "onnx"),
        default="transformers",
        help="onnx: a classifier or tagger on an encoder, for onnxruntime on the CPU",
    )
    parser.add_argument("--int8", action="store_true", help="of onnx: its matrices in 8 bits")
    parser.add_argument(
        "--bound",
        type=float,
        metavar="X",
        help="of onnx: the largest difference of a probability that is allowed; 0.001, or 0.05 with --int8",
    )
    parser.add_argument(
        "--rows",
        type=Path,
        metavar="FILE",
        help="of onnx: JSON Lines with a `text` each, to compare on; else the test split of the run",
    )


def act(call: Call) -> int:
    if call.arguments.to == "onnx":
        return _onnx(call)
    if given := [f"--{name}" for name in ("int8", "bound", "rows") if getattr(call.arguments, name)]:
        raise RecipeError(f"{given[0]} is of an export to ONNX.", hint="Add --to onnx, or leave it out.")
    return _transformers(call)


def _onnx(call: Call) -> int:
    from luthier.workflows.onnx.examples import examples_of
    from luthier.workflows.onnx.export import export_onnx
    from luthier.workflows.onnx.report import describe_onnx

    arguments = call.arguments
    artifact, examples, source = examples_of(arguments.run, arguments.rows, call.plugins, tuple(call.flags.trusted))
    folder: Path = arguments.folder
    facts = export_onnx(artifact, folder, examples, source=source, int8=arguments.int8, bound=arguments.bound)
    call.console.say(f"{folder}: {facts}.")
    describe_onnx(artifact.folder, folder, facts)
    call.console.data(str(folder), {"folder": str(folder), **asdict(facts)})
    return 0


def _transformers(call: Call) -> int:
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
