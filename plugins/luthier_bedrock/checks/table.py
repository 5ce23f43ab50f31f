"""The dated table of published limits, and the bases it knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from luthier.api import RecipeError, nearest

JOBS = ("sft", "rft", "cpt", "distillation")


@dataclass(frozen=True)
class JobLimits:
    """The number of records of a job: at least, at most, and how many are advised; None where nothing is published."""

    source: str
    least: int | None = None
    most: int | None = None
    advised: int | None = None
    only_recipe: bool = False


@dataclass(frozen=True)
class Base:
    """A base model: its identifier, the formats of media that it takes by kind, and the jobs there are for it."""

    name: str
    model: str
    media: Mapping[str, list[str]]
    jobs: Mapping[str, JobLimits]
    reasoning: bool = False
    validation: bool = True

    @property
    def is_nova(self) -> bool:
        return self.name.startswith("nova")


@cache
def table() -> Mapping[str, Any]:
    """The file, as it stands."""
    read: Mapping[str, Any] = yaml.safe_load(Path(__file__).with_name("limits.yaml").read_text(encoding="utf-8"))
    return read


def source_of(name: str) -> str:
    """The address of a source."""
    return str(table()["sources"][name])


def bases() -> dict[str, Base]:
    """All bases by name."""
    return {
        name: Base(name, **{**of, "jobs": {job: JobLimits(**limits) for job, limits in of["jobs"].items()}})
        for name, of in table()["bases"].items()
    }


def base_named(name: str) -> Base:
    """The base by its name or its identifier; RecipeError for one that the table does not have."""
    known = bases()
    found = known.get(name) or next((base for base in known.values() if base.model == name), None)
    if found is None:
        raise RecipeError(
            f"The table of {table()['read']} has no base model {name!r}.",
            where="--base",
            hint=nearest(name, known, "There are"),
        )
    return found


def limits_of(base: Base, job: str) -> JobLimits:
    """The limits of a job; RecipeError where the sources know no such job for the base."""
    if job not in base.jobs:
        others = [name for name, of in bases().items() if job in of.jobs]
        raise RecipeError(
            f"The sources of {table()['read']} know no {job} job for {base.name}.",
            where="--base",
            hint=f"There is one for {', '.join(others)}.",
        )
    return base.jobs[job]
