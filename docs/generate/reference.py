"""Write the reference pages from what the code says of itself: `python docs/generate/reference.py`.

Answers and settings come from `luthier explain --json`, hooks from `luthier.plugins.hookspecs`, verbs from their
parsers, exit codes and the form of errors from `luthier.errors`, root keys from config.yaml.
"""

from __future__ import annotations

import argparse
import contextlib
import inspect
import io
import json
import re
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

import luthier
from luthier import errors
from luthier.cli import main as command_line
from luthier.cli import session
from luthier.cli.help import overview
from luthier.cli.verbs import BUILT_IN, built_in
from luthier.config.catalog import Catalog
from luthier.config.option_file import entries
from luthier.config.settings import REQUIRED
from luthier.errors import exit_codes
from luthier.plugins import hookspecs
from luthier.plugins.registry import Plugins

DOCS = Path(__file__).parents[1]
FOLDER = DOCS / "reference"
EXAMPLES = Path(__file__).parent / "hooks"
MARK = "\n<!-- Written by docs/generate/reference.py; change the code that it describes. -->\n"

JSON_KEYS = {
    "code": "The exit code.",
    "kind": "What the exit code means, in a word.",
    "message": "One sentence: who, what and where.",
    "where": "`file:line[:column]`, the path of a setting, or empty.",
    "hint": "The way out, where there is one.",
    "resumable": "Whether the same command with `resume=auto` goes on from a checkpoint.",
}


def pages() -> dict[str, str]:
    """All generated pages by their path below docs/reference."""
    plugins = Plugins(only=[entry.name for entry in metadata.entry_points(group="luthier") if _is_ours(entry)])
    catalog = Catalog.of(plugins)
    questions = _root_questions(catalog)
    found = {f"questions/{name}.md": _question(name, asks, catalog) for name, asks in questions.items()}
    found |= {
        "recipe-keys.md": _root_keys(catalog),
        "recipes.md": _recipes(catalog),
        "hooks.md": _hooks(),
        "verbs.md": _verbs(),
        "exit-codes.md": _exit_codes(),
    }
    return {path: _squeezed(text) + MARK for path, text in found.items()}


def _squeezed(text: str) -> str:
    """One blank line at a time, but inside fences."""
    parts = re.split(r"(^```.*?^```$)", text, flags=re.MULTILINE | re.DOTALL)
    return "".join(part if part.startswith("```") else re.sub(r"\n{3,}", "\n\n", part) for part in parts).strip() + "\n"


def _is_ours(entry: metadata.EntryPoint) -> bool:
    return entry.dist is not None and entry.dist.name == "luthier"


def _root_questions(catalog: Catalog) -> dict[str, str]:
    """Each question of config.yaml's defaults list, with the words behind it."""
    text = catalog.answers[".", "config"].text
    found = re.findall(r"^  - (\w+): \w+ +# (.+)$", text, re.MULTILINE)
    return {name: words for name, words in found if name not in {"recipe", "debug"}}


def _question(name: str, asks: str, catalog: Catalog) -> str:
    lines = [f"# `{name}`: {asks}", ""]
    groups = [question for question in catalog.questions() if question == name or question.startswith(f"{name}/")]
    for group in groups:
        if group != name:
            lines += [f"## The nested question `{group}`", "", _where_asked(group, catalog), ""]
        level = "##" if group == name else "###"
        rows = [
            (f"[`{one}`](#{_anchor(f'{group}={one}')})", _headline(group, one, catalog)) for one in catalog.names(group)
        ]
        lines += [*_table(("answer", "what it is"), rows), ""]
        for answer in catalog.names(group):
            lines += [f"{level} `{group}={answer}`", "", *_answer(f"{group}={answer}"), ""]
    return "\n".join(lines)


def _headline(question: str, name: str, catalog: Catalog) -> str:
    return catalog.answers[question, name].headline


def _where_asked(group: str, catalog: Catalog) -> str:
    asked = [str(answer) for answer in catalog if answer.question != "recipe" and _asks(answer.text, group)]
    words = ", ".join(f"`{one}`" for one in sorted(asked))
    return f"Asked by {words}." if words else ""


def _asks(text: str, group: str) -> bool:
    defaults = (yaml.safe_load(text) or {}).get("defaults") or []
    keys = [str(key).split()[-1].partition("@")[0] for entry in defaults if isinstance(entry, dict) for key in entry]
    return any(key.lstrip("/") in {group, group.rpartition("/")[2]} for key in keys)


def _answer(what: str) -> Iterator[str]:
    said = _explained(what)
    yield said["what"]
    if said["settings"]:
        yield ""
        yield from _settings(said["settings"])
    for one in said["asks"]:
        asked = f"{what.partition('=')[0].replace('/', '.')}.{one['setting']}"
        yield ""
        yield f"Asks `{one['question']}` in turn, as `{asked}`; `{one['answer']}` answers unless you say otherwise."
    if said["doc"]:
        yield from ("", said["doc"])
    for package, wanted in said["needs"].items():
        yield from ("", f"Needs the package `{package}`: `pip install '{wanted}'`.")
    yield from ("", f"Code: `{said['code'].split()[0]}`. Shipped by `{said['owner']}`. Example: `{said['example']}`")


def _settings(settings: Iterable[dict[str, Any]]) -> list[str]:
    rows = [(f"`{one['path']}`", one["type"], _default(one["default"]), one["note"]) for one in settings]
    return _table(("setting", "type", "default", "what it does"), rows)


def _default(value: Any) -> str:
    if value == REQUIRED:
        return "must be given"
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def _root_keys(catalog: Catalog) -> str:
    config = catalog.answers[".", "config"]
    root: Any = yaml.compose(config.text, Loader=yaml.SafeLoader)
    said = dict(entries(root, config.text, config.file))
    rows = [
        (f"`{key}`", _default(one.value), one.comment or ROOT_KEYS[key])
        for key, one in said.items()
        if key not in {"defaults", "hydra", "batch"}
    ]
    return "\n".join(
        [
            "# The keys of a recipe",
            "",
            "At the top of a recipe stand its answers to the [nine questions](index.md), and:",
            "",
            *_table(("key", "default", "what it says"), rows),
            "",
            "`recipe=NAME` and `debug=tiny` are questions, too: the first chooses a [recipe](recipes.md), the second "
            "turns any recipe into its offline twin.",
            "",
            "## `batch`",
            "",
            *_answer("batch"),
            "",
            "## `debug=tiny`",
            "",
            *_fenced("yaml", catalog.answers["debug", "tiny"].text),
            "",
            "## All of it",
            "",
            "`luthier` without a recipe runs exactly this file:",
            "",
            *_fenced("yaml", config.text),
        ]
    )


ROOT_KEYS = {
    "schema_version": "The form of recipes that this one is written in.",
    "seed": "Of the data's order, of dropout and of new weights.",
    "stages": "What the run does, in this order: `search` lets `prompt=searched` choose its words, `baseline` "
    "measures the model as it comes, `fit` trains, `evaluate` "
    "measures again.",
}


def _recipes(catalog: Catalog) -> str:
    lines = [
        "# Recipes that ship",
        "",
        "A recipe is a named set of answers. `luthier recipe=NAME` runs one; any word behind it changes it.",
        "",
    ]
    for answer in (catalog.answers["recipe", name] for name in catalog.names("recipe")):
        lines += [f"## `{answer}`", "", answer.headline, "", *_fenced("yaml", answer.text), ""]
    lines += ["A [pipeline](../how-to/pipelines.md) is recipes one after another: `luthier pipeline=NAME`.", ""]
    for answer in (catalog.answers["pipeline", name] for name in catalog.names("pipeline")):
        lines += [f"## `{answer}`", "", answer.headline, "", *_fenced("yaml", answer.text), ""]
    return "\n".join(lines)


def _hooks() -> str:
    lines = [
        "# Hooks",
        "",
        "What a [plugin](../how-to/write-a-plugin.md) may tell luthier. A plugin is a module named by an entry point "
        "of the group `luthier`; it implements any of these functions under `@luthier.api.hookimpl`, with these "
        "argument names or fewer of them.",
        "",
    ]
    for name, function in hooks().items():
        first = function.luthier_spec["firstresult"]
        example = (EXAMPLES / f"{name}.py").read_text(encoding="utf-8")
        lines += [f"## `{name}{_plain_signature(function)}`", "", inspect.getdoc(function) or "", ""]
        lines += ["The first answer that is not None counts." if first else "The answers of all plugins count.", ""]
        lines += [*_fenced('python title="my_plugin.py"', example), ""]
    return "\n".join(lines)


def hooks() -> dict[str, Any]:
    """The hook specifications by name, in the order in which they are written."""
    return {name: each for name, each in vars(hookspecs).items() if hasattr(each, "luthier_spec")}


def _plain_signature(function: Any) -> str:
    return str(inspect.signature(function)).replace("'", "")


def _verbs() -> str:
    lines = [
        "# The command line",
        "",
        "`luthier` followed by answers and settings runs a recipe, in Hydra's "
        "[override grammar](https://hydra.cc/docs/1.3/advanced/override_grammar/basic/). "
        "`luthier VERB …` does one thing.",
        "",
        *_fenced("text", _without_answers(overview(session.Flags()))),
        "",
    ]
    for name in BUILT_IN:
        verb = built_in(name)
        parser = argparse.ArgumentParser(prog=f"luthier {name}", add_help=False)
        verb.declare(parser)
        doc = inspect.getdoc(inspect.getmodule(verb.declare)) or ""
        lines += [f"## `luthier {_usage(name, parser)}`", "", _sentence(doc) or f"{verb.help}.", ""]
        lines += [*_arguments(parser), ""]
    return "\n".join(lines)


def _without_answers(text: str) -> str:
    """The overview without the list of answers, which the pages of the questions give."""
    before, _, rest = text.partition("questions and their answers")
    return f"{before}flags\n{rest.partition('flags' + chr(10))[2]}"


def _sentence(doc: str) -> str:
    """What a verb's file says of it, behind the form of its command."""
    said = " ".join(doc.partition("`: ")[2].split())
    return said[:1].upper() + said[1:]


def _usage(name: str, parser: argparse.ArgumentParser) -> str:
    words = [name]
    for action in parser._actions:
        if action.option_strings:
            continue
        shown = str(action.metavar or action.dest)
        words.append(
            {"?": f"[{shown}]", "*": f"[{shown} …]", "+": f"{shown} [{shown} …]"}.get(str(action.nargs), shown)
        )
    return " ".join(words)


def _arguments(parser: argparse.ArgumentParser) -> list[str]:
    rows = []
    for action in parser._actions:
        value = "" if action.nargs == 0 else f" {action.metavar or action.dest.upper()}"
        name = (
            f"{', '.join(action.option_strings)}{value}"
            if action.option_strings
            else str(action.metavar or action.dest)
        )
        help_text = (action.help or "") % {"default": action.default, "prog": parser.prog}
        rows.append((f"`{name}`", help_text))
    return _table(("argument", "what it is"), rows) if rows else ["It takes no arguments."]


def _exit_codes() -> str:
    kinds = {
        kind.code: kind
        for kind in vars(errors).values()
        if inspect.isclass(kind) and issubclass(kind, errors.LuthierError)
    }
    keys = errors.LuthierError("").as_json()
    lines = [
        "# Exit codes and errors",
        "",
        "A command says what went wrong in a sentence on stderr, names the file and line or the setting, and ends with "
        "one of these codes. [Troubleshooting](../how-to/troubleshooting.md) says what to do about each.",
        "",
    ]
    for code, meaning in exit_codes.MEANINGS.items():
        kind = f" {kinds[code].kind}" if code in kinds else ""
        lines += [f"## {code}{kind}", "", meaning, ""]
    lines += [
        "## Errors as JSON",
        "",
        "With `--json` the last line of stderr is the error as one JSON object:",
        "",
        *_table(("key", "what it says"), [(f"`{key}`", JSON_KEYS[key]) for key in keys]),
        "",
        "`kind` is one of "
        + ", ".join(f"`{kind.kind}`" for _, kind in sorted(kinds.items()))
        + "; a run that a signal "
        "ended says `interrupted`.",
        "",
        *_fenced("json", json.dumps(_mistake(), indent=2, ensure_ascii=False)),
    ]
    return "\n".join(lines)


def _mistake() -> Any:
    """What a mistyped answer comes to."""
    return json.loads(_said("adaptation=lroa", "--json")[1].splitlines()[-1])


def _explained(what: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_said("explain", what, "--json")[0])
    return found


def _said(*arguments: str) -> tuple[str, str]:
    """What the command line says on stdout and on stderr."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), contextlib.suppress(SystemExit):
        command_line.main(arguments)
    return out.getvalue(), err.getvalue()


def _fenced(language: str, text: str) -> list[str]:
    return [f"```{language}", text.rstrip("\n"), "```"]


def _table(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    lines = [columns, tuple("---" for _ in columns), *rows]
    return [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines]


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def main() -> None:
    for path, text in pages().items():
        file = FOLDER / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    print(f"luthier {luthier.__version__}: {len(pages())} pages in {FOLDER}")


if __name__ == "__main__":
    main()
