"""A pipeline: named steps, each with the overrides of an ordinary command line, in `recipes/pipeline/NAME.yaml`.

steps:
  read:
    - recipe=cpt-domain
  answer:
    - recipe=quickstart
    - model=run
    - model.path=${steps.read}      # the folder of that step's run
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from luthier.config import bounds, command_line
from luthier.errors import RecipeError, Refused
from luthier.errors.suggestions import nearest

if TYPE_CHECKING:
    from luthier.config.catalog import Catalog, CatalogAnswer

QUESTION = "pipeline"
_STEP = re.compile(r"[A-Za-z][\w-]*")
_REFERENCE = re.compile(r"\$\{steps\.([^}]*)\}")


@dataclass(frozen=True)
class Step:
    """A name and its overrides; `${steps.NAME}` in them is the folder of an earlier step's run."""

    name: str
    words: tuple[str, ...]

    @property
    def needs(self) -> list[str]:
        """The steps that it refers to."""
        return list(dict.fromkeys(name for word in self.words for name in _REFERENCE.findall(word)))

    def after(self, folders: Mapping[str, str]) -> list[str]:
        """Its overrides with the folder of each step that it refers to."""
        return [_REFERENCE.sub(lambda reference: folders[reference[1]], word) for word in self.words]


@dataclass(frozen=True)
class Pipeline:
    """Steps in the order in which they are carried out."""

    name: str
    purpose: str
    steps: tuple[Step, ...]

    @classmethod
    def read(cls, name: str, catalog: Catalog) -> Pipeline:
        """RecipeError for a pipeline that does not exist or whose file holds anything but steps."""
        answer = catalog.answers.get((QUESTION, name))
        if answer is None:
            raise command_line.no_such_answer(QUESTION, name, catalog, where=f"{QUESTION}={name}")
        bounds.refuse_unbounded_file(answer.file)
        file = yaml.safe_load(answer.text)
        steps = file.get("steps") if isinstance(file, dict) else None
        if not isinstance(steps, dict) or not steps:
            raise RecipeError(
                "A pipeline lists its steps.", where=answer.shown, hint="Write `steps: {NAME: [recipe=…]}`."
            )
        if other := set(file) - {"steps"}:
            raise RecipeError(
                f"A pipeline has no {min(map(str, other))!r}.", where=answer.shown, hint="It has `steps`."
            )
        read = tuple(Step(str(step), _words(str(step), words, answer, catalog)) for step, words in steps.items())
        return cls(name, answer.headline, checked(read, where=answer.shown))


def _words(step: str, words: Any, answer: CatalogAnswer, catalog: Catalog) -> tuple[str, ...]:
    where = f"{answer.shown}: steps.{step}"
    if step in reserved(catalog) or not _STEP.fullmatch(step):
        problem = "is a key of every recipe" if step in reserved(catalog) else "is no plain word"
        raise RecipeError(
            f"The step's name {step!r} {problem}.", where=where, hint="Call it what it does: read, answer."
        )
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise RecipeError(f"The step {step} is no list of words.", where=where, hint="Write - recipe=NAME below it.")
    for word in command_line.read([_REFERENCE.sub("it", word) for word in words]):
        if word.key.partition(".")[0].split("/")[0] == "hydra":
            raise Refused("A pipeline sets something of Hydra.", where=where, hint="Set it on the command line.")
    return tuple(words)


def reserved(catalog: Catalog) -> set[str]:
    """The first names of settings and questions; any other first name is that of a step."""
    root = yaml.safe_load(catalog.answers[".", "config"].text)
    return {"hydra", *root, *(question.split("/")[0] for question in catalog.questions())} - {"defaults"}


def checked(steps: Sequence[Step], *, where: str = "") -> tuple[Step, ...]:
    """The steps, where each refers only to earlier ones; RecipeError with the nearest name else."""
    names = [step.name for step in steps]
    for place, step in enumerate(steps):
        for name in step.needs:
            if name in names[place:]:
                target = "itself" if name == step.name else f"{name}, which comes later"
                raise RecipeError(f"The step {step.name} starts from {target}.", where=where, hint="Change the order.")
            if name not in names:
                earlier = nearest(name, names[:place], "Before it come") or "Nothing comes before it."
                raise RecipeError(
                    f"The step {step.name} starts from {name!r}, which is no step.", where=where, hint=earlier
                )
    return tuple(steps)
