"""Names: questions that exist, and answers that nobody else gives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from luthier.config.catalog import NO_PARTS
from luthier.config.option_file import Option
from luthier.errors import LuthierError, PluginError
from luthier.errors.suggestions import nearest
from luthier.workflows.plugin_check.subject import Finding, Subject

if TYPE_CHECKING:
    from luthier.config.catalog import Catalog, CatalogAnswer

QUESTIONS, COLLISIONS = "questions", "collisions"


def check_questions(subject: Subject) -> Iterator[Finding]:
    """Each question is one that luthier or another plugin has, or that a defaults list asks."""
    known = asked(subject.catalog) | {one.question for one in subject.catalog if one.owner not in subject.owners}
    known |= NO_PARTS
    unknown = [answer for answer in subject.answers if answer.question not in known]
    for answer in unknown:
        yield Finding(
            QUESTIONS,
            "failed",
            f"Nobody asks the question {answer.question!r}, so {answer} is an answer to nothing.",
            str(answer.file),
            nearest(answer.question, known - {"."}, "There are"),
        )
    if not unknown and subject.answers:
        yield Finding(QUESTIONS, "passed", f"{len({one.question for one in subject.answers})} are asked.")


def asked(catalog: Catalog) -> set[str]:
    """The questions that the defaults lists of option files ask."""
    return {question for answer in catalog for question in _nested(answer, catalog)}


def _nested(answer: CatalogAnswer, catalog: Catalog) -> set[str]:
    try:
        return {question for question, _ in Option.read(answer, catalog).nested.values()}
    except Exception:  # a file that cannot be read asks nothing; another check says so
        return set()


def check_collisions(subject: Subject, verbs: frozenset[str]) -> Iterator[Finding]:
    """Nobody else gives the same answer, and no verb hides another; `verbs` are those of luthier."""
    failed = False
    for claims in subject.catalog.claimed.values():
        own = [one for one in claims if one.owner in subject.owners]
        others = [f"{one.origin} ({one.file})" for one in claims if one not in own] or [str(own[0].file)] * bool(own)
        for one in own[:1]:
            failed = True
            message = f"{one.question}={one.file.stem} is an answer of {' and '.join(others)}, too."
            yield Finding(COLLISIONS, "failed", message, str(one.file), "Give it another name.")
    for plugin, found in _verbs(subject):
        if isinstance(found, LuthierError):
            failed = True
            yield Finding(COLLISIONS, "failed", found.message, plugin, found.hint)
        elif plugin in subject.owners and found in verbs:
            failed = True
            message = f"The verb {found!r} of the plugin {plugin} is luthier's own, and is left out."
            yield Finding(COLLISIONS, "failed", message, hint="Give it another name.")
    if not failed:
        yield Finding(COLLISIONS, "passed", "No other distribution has its answers and verbs.")


def _verbs(subject: Subject) -> Iterator[tuple[str, str | LuthierError]]:
    try:
        for plugin, verbs in subject.plugins.ask("luthier_verbs"):
            yield from ((plugin, verb.name) for verb in verbs)
    except PluginError as error:
        yield "luthier_verbs", error
