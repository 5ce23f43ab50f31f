"""`luthier compare … until=decided margin=…`: a race instead of whole runs of all contenders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from luthier.config.command_line import to_paste
from luthier.disk.leftovers import sweep
from luthier.disk.writing import write_json, write_text
from luthier.errors import RecipeError
from luthier.evaluation.confidence_sequence import FRACTIONS
from luthier.workflows.comparison.lock import agree
from luthier.workflows.comparison.running import FOLDER, RECORD, REPORT, ContenderRunner, name_of
from luthier.workflows.parts import part
from luthier.workflows.racing.decisions import Standing
from luthier.workflows.racing.outcome import Outcome
from luthier.workflows.racing.page import page
from luthier.workflows.racing.race import Race
from luthier.workflows.racing.racer import Racer

if TYPE_CHECKING:
    from luthier.config.compose import Composer
    from luthier.evaluation.evaluation import Evaluation
    from luthier.workflows.comparison.contenders import Contender
    from luthier.workflows.comparison.lock import ExampleLock
    from luthier.workflows.comparison.terms import Terms

DISAGREE = 0.3
"""The share of examples on which two contenders are assumed to differ, in what is said before the start."""
NOT_MEASURED = {"baseline", "evaluate"}


def race(
    contenders: list[Contender],
    composer: Composer,
    command: Sequence[str],
    seeds: int | None,
    margin: float,
    runner: ContenderRunner,
) -> tuple[Outcome, Path, int]:
    """The outcome, its folder, and the exit code of the first run that failed.

    Evaluation, budget, examples and the score are checked before anything runs. RecipeError for a score that has no
    value from 0 to 1 of each example.
    """
    agreed, locked = agree(contenders)
    better = _direction(contenders[0], agreed.score)
    for one in contenders:
        stages = [str(stage) for stage in one.composition.config.stages if stage not in NOT_MEASURED]
        one.words = [*one.words, f"stages=[{','.join(stages)}]"]
        one.compose(composer, seeds)
    racers = {one.name: Racer(one, runner, locked, better) for one in contenders}
    running = Race(racers, locked.count, seeds or 1, margin, runner.console)
    for line in before_the_start(contenders, agreed, locked, seeds or 1):
        runner.console.say(line)
    running.run()
    command_line = to_paste("compare", *command, flags=[*runner.flags, *runner.config_dir])
    outcome = Outcome.of(running, name_of(contenders, locked, agreed), command_line, agreed, locked)
    place = FOLDER / outcome.name
    place.mkdir(parents=True, exist_ok=True)
    sweep(place, locked=False)
    write_json(place / RECORD, outcome.as_json())
    write_text(place / REPORT, page(outcome, place))
    codes = [racer.failed.code for racer in running.failed if racer.failed is not None]
    return outcome, place, codes[0] if codes else 0


def before_the_start(contenders: Sequence[Contender], agreed: Terms, locked: ExampleLock, seeds: int) -> list[str]:
    """How many race, of which examples, at which budget, and what can be decided."""
    standing = Standing([one.name for one in contenders], 0.0, phases=seeds)
    return [
        f"{len(contenders)} contenders, at most {seeds} seeds and {locked.count} examples of {locked.split}",
        f"budget: {agreed.budget or 'none, nothing is trained'}",
        power(locked.count, standing.level),
    ]


def power(examples: int, level: float) -> str:
    """What can be decided with so many examples, said before the start."""
    found = detectable(examples, level)
    if found is None:
        return f"{examples} examples are too few to decide anything at this level of certainty."
    return (
        f"where two contenders differ on {DISAGREE:.0%} of the examples, a difference of {found:.2g} between them "
        f"can be decided with {examples} of them"
    )


def detectable(examples: int, level: float) -> float | None:
    """The least difference of means that is expected to be decided, at the share of disagreement assumed."""
    for difference in np.linspace(0.005, DISAGREE, 60):
        lost, won = (DISAGREE + difference) / 2, (DISAGREE - difference) / 2
        growth = examples * (lost * np.log1p(FRACTIONS) + won * np.log1p(-FRACTIONS))
        if np.logaddexp.reduce(growth) - np.log(len(FRACTIONS)) >= -np.log(level):
            return float(difference)
    return None


def _direction(contender: Contender, score: str) -> str:
    composition = contender.composition
    evaluation: Evaluation = part(composition.config, composition.trust, "evaluation")
    if not evaluation.is_bounded(score):
        bounded = [name for name in evaluation.task.metrics if evaluation.is_bounded(name)]
        hint = f"Race by {' or '.join(f'score={name}' for name in bounded)}." if bounded else "Leave out until=decided."
        message = f"A race needs a score that gives each example a value from 0 to 1, and {score} does not say so."
        raise RecipeError(message, where="score", hint=hint)
    return evaluation.better(score)
