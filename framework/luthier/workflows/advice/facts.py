"""The facts that advice depends on, all numbers: amounts of data, the allowed latency, the memory of the machine."""

from __future__ import annotations

import math
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luthier.errors import RecipeError
from luthier.errors.suggestions import nearest


@dataclass(frozen=True, slots=True)
class Fact:
    """A kind of fact: its unit, the question that prompts for it, and its value where it is unknown."""

    unit: str
    question: str
    unknown: float = 0.0


FACTS: Mapping[str, Fact] = {
    "labels": Fact("examples with the wanted answer", "How many examples have the wanted answer?"),
    "text": Fact("characters of plain text", "How many characters of plain text of your domain do you have?"),
    "documents": Fact("documents to look answers up in", "How many documents hold what answers are about?"),
    "feedback": Fact("judged answers (pairs, ratings)", "How many answers were judged (pairs, ratings)?"),
    "latency": Fact("seconds for an answer", "How many seconds may an answer take? (empty: any)", math.inf),
    "gpu": Fact("GB of GPU memory", "How many GB of memory has your GPU?"),
    "memory": Fact("GB of memory", "How many GB of memory has the machine?"),
}
DOCUMENTS = {".md", ".txt", ".html", ".htm", ".pdf", ".rst", ".docx"}
LABELLED = {"classification", "rated", "messages", "sharegpt", "alpaca", "prompt_completion", "bedrock_prompt",
            "bedrock_conversation", "canonical"}  # fmt: skip


@dataclass(frozen=True)
class KnownFacts:
    """The known facts, and the overrides that give the inspected file to a recipe."""

    amounts: dict[str, float]
    words: tuple[str, ...] = ()

    def of(self, fact: str) -> float:
        return self.amounts.get(fact, FACTS[fact].unknown)


def parse_facts(words: Iterable[str]) -> dict[str, float]:
    """`labels=200 latency=2`; RecipeError with the nearest name for a fact that does not exist."""
    amounts = {}
    for word in words:
        name, _, text = word.partition("=")
        if name not in FACTS:
            hint = nearest(name, FACTS, "There are")
            raise RecipeError(f"There is no fact {name!r}.", where=word, hint=hint)
        amounts[name] = number(text, where=word)
    return amounts


def number(text: str, *, where: str) -> float:
    """A number of 0 or more; RecipeError for anything else."""
    try:
        value = float(text.replace(",", "").replace("_", ""))
    except ValueError:
        value = math.nan
    if not value >= 0:
        raise RecipeError(f"{text!r} is no amount.", where=where, hint="Say a number: labels=200, text=1e6.")
    return value


def machine() -> dict[str, float]:
    """Memory of this machine and of its GPU in GB, without importing torch."""
    import psutil

    return {"memory": psutil.virtual_memory().total / 1e9, "gpu": _gpu()}


def _gpu() -> float:
    program = shutil.which("nvidia-smi")
    if program is None:
        return 0.0
    command = [program, "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        output = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout  # noqa: S603
        return sum(float(line) for line in output.split()) * 2**20 / 1e9
    except (OSError, ValueError, subprocess.SubprocessError):
        return 0.0


def read(path: Path) -> KnownFacts:
    """The facts of a data file, or of a folder of data or documents. Raises DataError where it cannot be read."""
    documents = [file for file in sorted(path.rglob("*")) if file.suffix.lower() in DOCUMENTS] if path.is_dir() else []
    if documents:
        return KnownFacts({"documents": len(documents), "text": float(sum(file.stat().st_size for file in documents))})
    from luthier.config.starter import Look, rows
    from luthier.errors.pasting import setting_word

    look = Look.at(path)
    form = look.format.name or look.format.nearest
    words = [
        f"data={look.answer}",
        f"data.file={path.as_posix()}",
        f"data/format={form}",
        f"evaluation/task={look.task}",
        *([setting_word("data.rename", look.format.rename)] if look.format.rename else []),
    ]
    score = {"classification": "accuracy", "generation": "rouge_l"}.get(look.task, "loss")
    examples = rows(path)
    if form == "preference":
        amounts: dict[str, float] = {"feedback": float(len(examples))}
    elif form in LABELLED:
        amounts = {"labels": float(len(examples))}
    else:
        amounts = {"text": float(sum(_characters(row) for row in examples))}
    return KnownFacts(amounts, (*words, f"score={score}"))


def _characters(row: dict[str, Any]) -> int:
    return sum(len(value) for value in row.values() if isinstance(value, str))
