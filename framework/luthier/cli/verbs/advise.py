"""`luthier advise [FILE] [fact=amount …]`: recommend which recipes to compare first for your data and your machine."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from luthier.cli.call import Call
from luthier.cli.session import Flags
from luthier.errors import RecipeError
from luthier.workflows.advice import facts
from luthier.workflows.advice.facts import FACTS, KnownFacts
from luthier.workflows.advice.rules import Advice, advices

MOST = 5
HOW = "Say what you have: luthier advise FILE, a folder of documents, or labels=200 text=1e6 documents=12 feedback=0."


def declare(parser: argparse.ArgumentParser) -> None:
    names = ", ".join(f"{name}=…" for name in FACTS)
    usage = f"data files, folders of documents, and facts: {names}; prompted for if none is given"
    parser.add_argument("known", nargs="*", metavar="FILE", help=usage)
    parser.add_argument("--config-dir", metavar="DIR", help="a further folder of recipes")


def act(call: Call) -> int:
    known = _known(call)
    advice = advices(call.catalog(call.arguments.config_dir))
    fit = [one for one in advice if not one.lacks(known)]
    others = [one for one in advice if one.lacks(known)]
    command = _command(fit[:MOST], known, call.flags)
    record = {
        "known": {name: known.of(name) for name in FACTS if name in known.amounts},
        "compare": [{"recipe": one.recipe, "reason": one.reason} for one in fit[:MOST]],
        "then": [{"recipe": one.recipe, "reason": one.reason} for one in fit[MOST:]],
        "not_yet": [{"recipe": one.recipe, "reason": one.reason, "needs": one.lacks(known)} for one in others],
        "run": command,
    }
    call.console.data(_page(call, fit, others, known, command), record)
    return 0


def _known(call: Call) -> KnownFacts:
    given = call.arguments.known
    if not given:
        if call.console.as_json or not sys.stdin.isatty():
            raise RecipeError("Nothing is known of your data.", hint=HOW)
        return KnownFacts({**facts.machine(), **_prompted(call)})
    amounts: dict[str, float] = {}
    words: tuple[str, ...] = ()
    for word in given:
        if "=" in word and not Path(word).exists():
            continue
        if not Path(word).exists():
            raise RecipeError(f"There is no {word!r}.", where=word, hint=HOW)
        read = facts.read(Path(word))
        words = words or read.words
        amounts = {name: amounts.get(name, 0) + read.amounts.get(name, 0) for name in {*amounts, *read.amounts}}
    stated = facts.parse_facts(word for word in given if "=" in word and not Path(word).exists())
    return KnownFacts({**facts.machine(), **amounts, **stated}, words)


def _prompted(call: Call) -> dict[str, float]:
    """Prompt for each fact that cannot be read from the machine; an empty answer leaves it unknown."""
    amounts = {}
    for name, fact in FACTS.items():
        if name in facts.machine():
            continue
        call.console.say(fact.question)
        if text := input("> ").strip():
            amounts[name] = facts.number(text, where=name)
    return amounts


def _command(fit: list[Advice], known: KnownFacts, flags: Flags) -> str:
    """The command of the first comparison; of a single run where only one recipe qualifies."""
    verb = ["compare"] if len(fit) > 1 else []
    seeds = ["seeds=3"] if len(fit) > 1 else []
    return flags.to_paste(*verb, f"recipe={','.join(one.recipe for one in fit)}", *seeds, *known.words)


def _page(call: Call, fit: list[Advice], others: list[Advice], known: KnownFacts, command: str) -> str:
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
