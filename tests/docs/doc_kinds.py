"""Which documented commands are one more of a kind: `make test` composes those, `make test-all` runs them, too.

The kind of a command is its verb and the questions that it answers. One more of a kind is run all the same where the
page shows what it says or how it ends, and where the page goes on with what it leaves.
"""

from __future__ import annotations

import re
import shlex
from functools import cache
from pathlib import Path

from luthier.cli.verbs import BUILT_IN
from tests.docs.doc_pages import Command, Fence, fences, pages

OWN_RECIPES = {
    f"recipe={Path(fence.title).stem}" for page in pages() for fence in fences(page) if "/recipe/" in fence.title
}


def kind(command: Command) -> tuple[str, ...]:
    """Of `luthier plan recipe=demo adaptation=lora name=x`: plan, adaptation, recipe.

    Each method is of its own kind, and each recipe that a page writes; the shipped ones have twins of their own.
    """
    words = shlex.split(command.text)
    verb = next((word for word in words[1:] if word in BUILT_IN), "")
    answers = {word.partition("=")[0]: word for word in words[1:] if re.match(r"[\w/@+]+=", word)}
    own = [word for question, word in answers.items() if question == "method" or word in OWN_RECIPES]
    return (words[0], verb, *sorted(answers.keys() - {"name", "seed"}), *own)


@cache
def repeated() -> frozenset[tuple[Path, int, str]]:
    """Page, line of the fence and text of each command that `make test` does not run."""
    seen: set[tuple[str, ...]] = set()
    found = set()
    for page in pages():
        for fence in fences(page):
            for command in fence.commands():
                if fence.why_not_run:
                    continue
                if kind(command) in seen and not must_run(page, fence, command):
                    found.add((page, fence.line, command.text))
                seen.add(kind(command))
    return frozenset(found)


def must_run(page: Path, fence: Fence, command: Command) -> bool:
    """Whether the page shows what the command says, or how it ends, or goes on with what it leaves."""
    words = shlex.split(command.text)
    name = next((word.partition("=")[2] for word in (*words, *fence.shortened) if word.startswith("name=")), "")
    if words[0] != "luthier" or command.shown or fence.exit_code or not name:
        return True
    text = page.read_text(encoding="utf-8")
    return f"runs/{name}" in text or len(re.findall(rf"\bname={re.escape(name)}\b", text)) > 1


def has_repeated(page: Path) -> bool:
    return any(of == page for of, _, _ in repeated())
