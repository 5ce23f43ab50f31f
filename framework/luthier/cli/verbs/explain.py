"""`luthier explain WHAT`: describe an answer with its settings, a question, a recipe, or the exit codes."""

from __future__ import annotations

import argparse
import json
import textwrap
from collections.abc import Iterator
from typing import Any

from luthier.cli.call import Call
from luthier.cli.verbs import recipes
from luthier.config import signatures
from luthier.config.catalog import Catalog, CatalogAnswer
from luthier.config.option_file import Option
from luthier.config.settings import REQUIRED, Setting, Signature
from luthier.config.type_hints import fits
from luthier.config.type_words import choices, in_json
from luthier.errors import RecipeError
from luthier.errors.exit_codes import MEANINGS
from luthier.errors.suggestions import nearest
from luthier.plugins.renamed import current_answer, note
from luthier.reporting.console import width

EXIT_CODES = "exit-codes"
MOST_BESIDE = 44
NEXT = {  # what is no part is shown as it stands, and what to do with it
    "recipe": "{} says what it comes to.",
    "pipeline": "{} says what it comes to.",
    "advice": "luthier advise says when it holds.",
}


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what", metavar="WHAT", help=f"question=answer, a question, recipe=NAME, batch, or {EXIT_CODES}"
    )
    parser.add_argument("--config-dir", metavar="DIR", help="a further folder of recipes")


def act(call: Call) -> int:
    what, catalog = call.arguments.what, call.catalog(call.arguments.config_dir)
    question, equals, name = what.partition("=")
    if (current := current_answer(f"{question}/{name}").removeprefix(f"{question}/")) != name:
        call.console.say(f"note: {note(what, f'{question}={current}')}")
        name = current
    if what == EXIT_CODES:
        return _exit_codes(call)
    if what == "batch":
        return _say(call, Option.inside(catalog.answers[".", "config"], "batch"), "batch")
    if not equals and question in catalog.questions():
        call.arguments.question = question
        return recipes.act(call)
    answer = _answer(question, name, catalog)
    if question in NEXT:
        return _shown_whole(call, answer)
    return _say(call, Option.read(answer, catalog), question.replace("/", "."))


def _answer(question: str, name: str, catalog: Catalog) -> CatalogAnswer:
    if question not in catalog.questions():
        named = [str(answer) for answer in catalog if answer.name == question]
        known = [*catalog.questions(), EXIT_CODES, "batch"]
        hint = f"Did you mean {' or '.join(named)}?" if named else nearest(question, known, "There are")
        if (above := question.partition(".")[0]) in known:
            hint = f"Settings belong to answers: `luthier explain {above}` lists those, and each says its settings."
        raise RecipeError(f"There is no question {question!r}.", where=question, hint=hint)
    catalog.refuse_claimed(question, name)
    if (question, name) not in catalog.answers:
        hint = nearest(name, catalog.names(question), "There are")
        raise RecipeError(f"There is no answer {name!r} to {question}.", where=f"{question}={name}", hint=hint)
    return catalog.answers[question, name]


def _exit_codes(call: Call) -> int:
    call.console.data(
        call.console.table(("code", "meaning"), [(str(code), meaning) for code, meaning in MEANINGS.items()]), MEANINGS
    )
    return 0


def _shown_whole(call: Call, answer: CatalogAnswer) -> int:
    text = answer.text.strip()
    record = {answer.question: answer.name, "what": answer.headline, "run": answer.how_to_run, "file": str(answer.file)}
    plan = call.flags.to_paste("plan", str(answer), config_dir=call.arguments.config_dir)
    shown = f"{text}\n\n{answer.shown}\n{NEXT[answer.question].format(plan)}"
    call.console.data(shown, {**record, "text": text})
    return 0


def _say(call: Call, option: Option, path: str) -> int:
    record = _record(option, path)
    lines = [f"{record['name']}   ({record['owner']})", *_paragraph(record["what"]), ""]
    if record["settings"]:
        lines += [*_settings(record["settings"]), ""]
    for one in record["asks"]:
        lines += _paragraph(f"asks {one['question']} in turn; {one['answer']} answers, as {path}.{one['setting']}")
    if record["open"]:
        lines += _paragraph("It takes further settings, which are checked when it is built.")
    if record["parts"]:
        lines.append(f"is handed {', '.join(record['parts'])} by luthier")
    lines += [f"needs {package}: pip install '{wanted}'" for package, wanted in record["needs"].items()]
    places = [f"{what:<9}{record[what]}" for what in ("code", "source", "file", "example") if record[what]]
    call.console.data("\n".join([*lines, *_paragraph(record["doc"]), "", *places]), record)
    return 0


def _record(option: Option, path: str) -> dict[str, Any]:
    signature = signatures.signature(option.target) if option.target else None
    settings = [_setting(name, option, signature, path) for name in _names(option, signature)]
    name = str(option.answer) if option.answer.question != "." else path
    return {
        "name": name,
        "what": option.headline,
        "owner": option.answer.owner,
        "settings": settings,
        "asks": [{"setting": key, "question": nested, "answer": name} for key, (nested, name) in option.nested.items()],
        "parts": [part for part in (signature.parts if signature else ()) if part not in option.nested],
        "needs": signature.needs if signature else {},
        "open": bool(signature and signature.open),
        "doc": signature.doc if signature else "",
        "code": option.target,
        "source": f"{signature.file}:{signature.line}" if signature else "",
        "file": option.answer.shown,
        "example": option.answer.command or _example(option, signature, settings, name),
    }


def _names(option: Option, signature: Signature | None) -> list[str]:
    nested = {key.partition(".")[0] for key in option.nested}
    known = [name for name in (signature.settings if signature else {}) if name not in nested]
    return [*known, *(name for name in option.written if name not in known)]


def _setting(name: str, option: Option, signature: Signature | None, path: str) -> dict[str, Any]:
    setting = signature.settings.get(name) if signature else None
    written = option.written.get(name)
    return {
        "path": f"{path}.{name}",
        "type": setting.words if setting else "anything",
        "default": in_json(written.value if written else setting.default if setting else None),
        "note": written.comment if written else "",
    }


def _another(setting: Setting | None, default: Any) -> Any:
    """Another value that the setting takes; None where none is known."""
    expected = setting.type if setting else Any
    written = setting.annotation if setting else ""
    if "Annotated" in written:  # what else is demanded of it is not known
        return None
    listed = [one for one in choices(expected) if one not in ("null", str(default)) and fits(one, expected)]
    if listed:
        return listed[0]
    if not isinstance(default, (int, float)) or isinstance(default, bool):
        return None
    other = (default * 2 or 1) if isinstance(default, int) else (default / 2 or 0.1)
    return other if fits(other, expected) else None


def _example(option: Option, signature: Signature | None, settings: list[dict[str, Any]], name: str) -> str:
    """An example command: the required settings, else one setting with another value than its default."""
    known = signature.settings if signature else {}
    overrides = [f"{one['path']}=…" for one in settings if one["default"] == REQUIRED]
    for one in settings if not overrides and (signature is None or signature.certain) else ():
        numeric = isinstance(one["default"], (int, float)) and not isinstance(one["default"], bool)
        value = _another(known.get(one["path"].rpartition(".")[2]), one["default"]) if numeric else None
        if value is not None:
            overrides = [f"{one['path']}={value}"]
            break
    answered = [] if option.answer.question == "." else [name]
    return " ".join(["luthier", *answered, *overrides])


def _settings(settings: list[dict[str, Any]]) -> Iterator[str]:
    """A line for each setting; what does not fit beside its value stands below it."""
    assignments = [f"{one['path']} = {_shown(one['default'])}" for one in settings]
    column = max([len(left) for left in assignments if len(left) <= MOST_BESIDE], default=0) + 2
    for one, left in zip(settings, assignments, strict=True):
        words = "; ".join(filter(None, (one["type"], one["note"])))
        if len(left) < column and column + len(words) <= width():
            yield f"{left:<{column}}{words}"
        elif len(left) < column and column + len(one["type"]) <= width():
            yield f"{left:<{column}}{one['type']}"
            yield from _below(one["note"])
        else:
            yield from textwrap.wrap(
                left, width(), subsequent_indent=" " * 4, break_long_words=False, break_on_hyphens=False
            )
            yield from _below(words)


def _below(text: str) -> list[str]:
    return textwrap.wrap(text, width(), initial_indent=" " * 4, subsequent_indent=" " * 4)


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return "must be given" if value == REQUIRED else value or '""'
    return json.dumps(value, ensure_ascii=False)


def _paragraph(text: str) -> list[str]:
    paragraphs = [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]
    wrapped = ["\n".join(textwrap.wrap(paragraph, min(width(), 100))) for paragraph in paragraphs]
    return "\n\n".join(wrapped).splitlines()
