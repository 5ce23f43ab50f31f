"""The proof that a recipe resumes exactly: killed at points of its training, it ends with the bits of a whole run."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from luthier.errors import NumericsError, RecipeError
from luthier.records.events import EventLog
from luthier.records.folder import RunFolder
from luthier.training import checkpoint_files
from luthier.training.checkpoint_comparison import Compared, compare
from luthier.workflows.resume_proof import cuts
from luthier.workflows.resume_proof.child import Ended, carry_out, unexpected
from luthier.workflows.resume_proof.cuts import Plan, Point
from luthier.workflows.step_comparison import compare_steps

NAMED = 3


@dataclass(frozen=True, slots=True)
class Cut:
    """A run that was killed at a point and went on from a step; what of it differs from the whole run, by section."""

    point: Point
    resumed_from: int
    compared: Mapping[str, Compared]

    @property
    def differs(self) -> list[str]:
        return [f"{name} ({_some(one.differ)})" for name, one in self.compared.items() if one.differ]

    def as_json(self) -> dict[str, Any]:
        return {
            "after_step": self.point.step, "point": self.point.kind, "resumed_from": self.resumed_from,
            "equal": not self.differs,
            "differs": {name: one.differ for name, one in self.compared.items() if one.differ},
        }  # fmt: skip


@dataclass(slots=True)
class ResumeProof:
    """What came of it: the cuts, and whether a second whole run differs from the first one already."""

    seed: int
    steps: int = 0
    points: int = 0
    cuts: list[Cut] = field(default_factory=list)
    repeats: bool = True

    @property
    def holds(self) -> bool:
        return not any(cut.differs for cut in self.cuts)

    @property
    def compared(self) -> dict[str, int]:
        """Values that were compared in each cut, by section."""
        return {name: one.values for name, one in self.cuts[0].compared.items()} if self.cuts else {}

    def as_json(self) -> dict[str, Any]:
        return {
            "equal": self.holds, "cuts": [cut.as_json() for cut in self.cuts], "steps": self.steps, "seed": self.seed,
            "points": self.points, "compared": self.compared, "repeats": self.repeats,
        }  # fmt: skip

    def refuse(self) -> None:
        """NumericsError where a run that was killed came to other bits."""
        bad = [cut for cut in self.cuts if cut.differs]
        if not bad:
            return
        why = (
            "Two whole runs are equal, so that something that the training depends on is in no checkpoint; a part with "
            "a state of its own has to be a luthier.api.StatefulPart."
            if self.repeats
            else "Two runs that nobody killed differ, too: something in this recipe is not computed alike twice here."
        )
        raise NumericsError(
            f"{len(bad)} of {len(self.cuts)} runs that were killed and went on differ from the whole one, the first "
            f"(killed {bad[0].point}) in {'; '.join(bad[0].differs)}.",
            hint=why,
        )


def prove(
    words: Sequence[str], place: Path, *, count: int, seed: int, tell: Callable[[Cut], None] = lambda cut: None
) -> ResumeProof:
    """Run the recipe of these words whole and with `count` kills, in folders under `place`.

    RecipeError where it trains nothing; the error of a run that fails by itself.
    """
    points = place / "points"
    whole, ended = _run(words, place / "whole", Plan(points))
    if ended.code:
        raise unexpected("The run that nobody kills", ended)
    passed = cuts.read_points(points) if points.is_file() else []
    last = _last(whole)
    if last is None:
        raise RecipeError("The recipe trains no step, so there is nothing to resume.", where="stages")
    proof = ResumeProof(seed, steps=checkpoint_files.step_of(last) or 0, points=len(passed))
    for number in chosen(passed, count, seed):
        cut = _cut(words, place / f"cut-{number}", number, passed[number], whole)
        proof.cuts.append(cut)
        tell(cut)
    if not proof.holds:
        again, ended = _run(words, place / "again", Plan())
        proof.repeats = not ended.code and not any(one.differ for one in _compared(whole, again).values())
    return proof


def chosen(points: Sequence[Point], count: int, seed: int) -> list[int]:
    """The numbers of `count` points: one of each kind while there are kinds left, the rest from all; in order."""
    draw = random.Random(seed)
    by_kind: dict[str, list[int]] = {}
    for number, point in enumerate(points):
        by_kind.setdefault(point.kind, []).append(number)
    kinds = sorted(by_kind)
    draw.shuffle(kinds)
    first = [draw.choice(by_kind[kind]) for kind in kinds][:count]
    rest = [number for number in range(len(points)) if number not in set(first)]
    return sorted([*first, *draw.sample(rest, min(len(rest), count - len(first)))])


def _cut(words: Sequence[str], place: Path, number: int, point: Point, whole: RunFolder) -> Cut:
    folder, ended = _run(words, place, Plan(at=number))
    if ended.code != -cuts.KILL:
        raise unexpected(f"The run that was to be killed {point}", ended)
    _, ended = _run([*words, "resume=auto"], place, Plan())
    if ended.code:
        raise unexpected(f"The run that was killed {point} does not go on: it", ended)
    return Cut(point, _resumed_from(folder, point), _compared(whole, folder))


def _resumed_from(folder: RunFolder, point: Point) -> int:
    """The step after which a killed run went on: the second time that it began to train, or the end of its training."""
    began = [int(event["step"]) for event in EventLog(folder.events).read() if event["event"] == "training"]
    return began[1] if len(began) > 1 else point.step


def _run(words: Sequence[str], place: Path, plan: Plan) -> tuple[RunFolder, Ended]:
    return RunFolder(place), carry_out([*words, f"hydra.run.dir={place}"], place, plan)


def _last(folder: RunFolder) -> Path | None:
    found = checkpoint_files.checkpoints(folder.checkpoints)
    return found[0] if found else None


def _compared(whole: RunFolder, other: RunFolder) -> dict[str, Compared]:
    ours, theirs = _last(whole), _last(other)
    assert ours is not None
    if theirs is None or ours.name != theirs.name:
        return {"step": Compared(1, [f"{theirs.name if theirs else 'no checkpoint'} instead of {ours.name}"])}
    return compare(ours, theirs) | compare_steps(whole, other)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def facts(proof: ResumeProof) -> Iterator[tuple[str, str]]:
    """What the verb shows under the table."""
    compared = ", ".join(f"{values:,} of {name}" for name, values in proof.compared.items())
    yield "compared", compared
    yield "drawn", f"{len(proof.cuts)} of {proof.points:,} points of {proof.steps} steps, seed {proof.seed}"
