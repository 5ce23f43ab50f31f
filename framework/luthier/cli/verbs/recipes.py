"""`luthier recipes [QUESTION]`: list the recipes with their commands, or the answers to a question."""

from __future__ import annotations

import argparse
import re

from luthier.cli.call import Call
from luthier.config.catalog import Catalog, CatalogAnswer
from luthier.errors import RecipeError
from luthier.errors.suggestions import nearest


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "question", nargs="?", default="recipe", metavar="QUESTION", help="model, method, data/format, …"
    )
    parser.add_argument("--config-dir", metavar="DIR", help="a further folder of recipes")


def act(call: Call) -> int:
    question = call.arguments.question
    catalog = call.catalog(call.arguments.config_dir)
    if question not in catalog.questions():
        hint = nearest(question, catalog.questions(), "There are")
        raise RecipeError(f"There is no question {question!r}.", where=question, hint=hint)
    answers = [catalog.answers[question, name] for name in catalog.names(question)]
    rows = [(answer.name, answer.headline, answer.owner) for answer in answers]
    table = call.console.table((question, "from", "what it is"), [(name, owner, what) for name, what, owner in rows])
    call.console.data(f"{table}\n\n{_next(question, catalog)}", [_record(answer) for answer in answers])
    return 0


def _record(answer: CatalogAnswer) -> dict[str, str]:
    return {
        "question": answer.question,
        "name": answer.name,
        "what": answer.headline,
        "run": answer.how_to_run,
        "owner": answer.owner,
        "file": str(answer.file),
    }


def _next(question: str, catalog: Catalog) -> str:
    if question == "recipe":
        return "luthier recipe=NAME runs one; luthier explain recipe=NAME says what it answers."
    nested = [other for other in catalog.questions() if re.fullmatch(f"{re.escape(question)}/[^/]+", other)]
    more = f" It asks in turn: {', '.join(nested)}." if nested else ""
    return f"luthier explain {question}=NAME says more.{more}"
