"""`luthier prove-resume <answers>`: kill a recipe's training, let it go on, and compare it bit for bit."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from luthier.cli.call import Call
from luthier.errors import RecipeError

CUTS, STEPS, EVERY = 12, 8, 2


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "answers", nargs="*", metavar="key=value", help="the recipe; debug=tiny proves it on its offline twin"
    )
    parser.add_argument("--cuts", type=int, default=CUTS, metavar="N", help=f"how many runs to kill (default: {CUTS})")
    parser.add_argument(
        "--steps", type=int, default=STEPS, metavar="N", help=f"optimizer steps of each run (default: {STEPS})"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the points at which they are killed")
    parser.add_argument("--keep", metavar="FOLDER", help="a new folder in which to keep the runs")
    parser.add_argument("--config-dir", metavar="DIR", help="a further folder of recipes")


def act(call: Call) -> int:
    arguments = call.arguments
    for name, value in (("--cuts", arguments.cuts), ("--steps", arguments.steps)):
        if value < 1:
            raise RecipeError(f"{name} is {value}.", where=name, hint="Use 1 or more.")
    composer = call.composer(arguments.config_dir)
    words = _words(arguments.answers, arguments.steps)
    composition = composer.compose(words)
    if "fit" not in composition.config.stages:
        raise RecipeError("The recipe trains nothing, so there is nothing to resume.", where="stages")
    from luthier.workflows.resume_proof.proof import facts, prove

    kept = [stage for stage in composition.config.stages if stage in ("search", "fit")]
    flags = [*call.flags.again(arguments.config_dir), "-p", "luthier.workflows.resume_proof.cuts"]
    command = [*flags, *words, f"stages=[{','.join(kept)}]", "tracking=none"]
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(arguments.keep or scratch).absolute()
        if arguments.keep and place.exists():
            raise RecipeError(f"{place} is there already.", where="--keep", hint="Name a new folder.")
        place.mkdir(parents=True, exist_ok=True)
        proof = prove(
            command, place, count=arguments.cuts, seed=arguments.seed,
            tell=lambda cut: call.console.say(f"killed {cut.point}: {'differs' if cut.differs else 'equal'}"),
        )  # fmt: skip
    rows = [
        (str(cut.point), f"step {cut.resumed_from}" if cut.resumed_from else "the beginning",
         "; ".join(cut.differs) or "equal")
        for cut in proof.cuts
    ]  # fmt: skip
    table = call.console.table(("killed", "went on from", "result"), rows)
    equal = sum(not cut.differs for cut in proof.cuts)
    verdict = f"{equal} of {len(proof.cuts)} killed runs ended with the bits of the whole one"
    lines = [table, call.console.table(("", ""), list(facts(proof))), verdict]
    call.console.data("\n\n".join(lines), proof.as_json())
    proof.refuse()
    return 0


def _words(given: list[str], steps: int) -> list[str]:
    """The recipe with few steps and many checkpoints, but for what the command line says itself."""
    ours = {"trainer.max_steps": steps, "trainer.epochs": steps, "trainer.checkpoint_every": EVERY}
    said = {word.lstrip("+").partition("=")[0] for word in given}
    return [*given, *(f"{key}={value}" for key, value in ours.items() if key not in said)]
