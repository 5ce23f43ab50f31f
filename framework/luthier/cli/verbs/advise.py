"""`luthier advise [FILE] [fact=amount …]`: which recipes to compare first and why, from your data and your machine."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from luthier.cli.call import Call
from luthier.errors import RecipeError
from luthier.workflows.advice import facts
from luthier.workflows.advice.facts import FACTS, Known
from luthier.workflows.advice.rules import Advice, advices

MOST = 5
HOW = "Say what you have: luthier advise FILE, a folder of documents, or labels=200 text=1e6 documents=12 feedback=0."


def declare(parser: argparse.ArgumentParser) -> None:
    told = f"data files, folders of documents, and facts: {', '.join(f'{name}=…' for name in FACTS)}; asked for if none"
    parser.add_argument("known", nargs="*", metavar="FILE", help=told)
    parser.add_argument("--config-dir", metavar="DIR", help="a further folder of recipes")


def act(call: Call) -> int:
    known = _known(call)
    found = advices(call.catalog(call.arguments.config_dir))
    fit = [one for one in found if not one.lacks(known)]
    others = [one for one in found if one.lacks(known)]
    command = _command(fit[:MOST], known)
    record = {
        "known": {name: known.of(name) for name in FACTS if name in known.amounts},
        "compare": [{"recipe": one.recipe, "reason": one.reason} for one in fit[:MOST]],
        "then": [{"recipe": one.recipe, "reason": one.reason} for one in fit[MOST:]],
        "not_yet": [{"recipe": one.recipe, "reason": one.reason, "needs": one.lacks(known)} for one in others],
        "run": command,
    }
    call.console.data(_page(call, fit, others, known, command), record)
    return 0


def _known(call: Call) -> Known:
    said = call.arguments.known
    if not said:
        if call.console.as_json or not sys.stdin.isatty():
            raise RecipeError("Nothing is known of your data.", hint=HOW)
        return Known({**facts.machine(), **_asked(call)})
    amounts: dict[str, float] = {}
    words: tuple[str, ...] = ()
    for word in said:
        if "=" in word and not Path(word).exists():
            continue
        if not Path(word).exists():
            raise RecipeError(f"There is no {word!r}.", where=word, hint=HOW)
        read = facts.read(Path(word))
        words = words or read.words
        amounts = {name: amounts.get(name, 0) + read.amounts.get(name, 0) for name in {*amounts, *read.amounts}}
    spoken = facts.told(word for word in said if "=" in word and not Path(word).exists())
    return Known({**facts.machine(), **amounts, **spoken}, words)


def _asked(call: Call) -> dict[str, float]:
    """One question for each fact that the machine does not tell; an empty answer leaves it open."""
    found = {}
    for name, fact in FACTS.items():
        if name in facts.machine():
            continue
        call.console.say(fact.question)
        if text := input("> ").strip():
            found[name] = facts.number(text, where=name)
    return found


def _command(fit: list[Advice], known: Known) -> str:
    """The comparison to begin with; with one recipe, that recipe."""
    verb = ["compare"] if len(fit) > 1 else []
    seeds = ["seeds=3"] if len(fit) > 1 else []
    return shlex.join(["luthier", *verb, f"recipe={','.join(one.recipe for one in fit)}", *seeds, *known.words])


def _page(call: Call, fit: list[Advice], others: list[Advice], known: Known, command: str) -> str:
    held = ", ".join(f"{known.of(name):,.0f} {fact.unit}" for name, fact in FACTS.items() if name in known.amounts)
    parts = [
        f"known: {held}",
        call.console.table(("compare first", "why"), [(one.recipe, one.reason) for one in fit[:MOST]]),
    ]
    if later := fit[MOST:]:
        parts.append(call.console.table(("then", "why"), [(one.recipe, one.reason) for one in later]))
    if others:
        rows = [(one.recipe, f"needs {'; '.join(one.lacks(known))}") for one in others]
        parts.append(call.console.table(("not yet", "why not"), rows))
    return "\n\n".join([*parts, command])
