"""The text of `luthier --help`: the forms of a command, the verbs, the questions with their answers."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from luthier.cli.session import Flags


def overview(flags: Flags) -> str:
    from luthier.cli.session import load_plugins
    from luthier.cli.verbs import BUILT_IN, of_plugins
    from luthier.config.catalog import Catalog
    from luthier.reporting.console import Console

    console = Console()
    plugins = load_plugins(flags, console)
    catalog, foreign = Catalog.of(plugins), of_plugins(plugins, console)
    questions = [question for question in catalog.questions() if "/" not in question and question != "advice"]
    width = max(map(len, [*questions, *BUILT_IN, *foreign]))
    lines = [
        "luthier fits a foundation model to its user.",
        "",
        "  luthier recipe=NAME [question=answer …] [key=value …]    run a recipe (Hydra's grammar; -m sweeps)",
        "  luthier pipeline=NAME [step.key=value …]                 run recipes one after another",
        "  luthier VERB …                                           do one thing",
        "",
        "verbs",
        *(f"  {name:<{width}}  {help}" for name, help in BUILT_IN.items()),
        *(f"  {verb.name:<{width}}  {verb.help}" for verb in foreign.values()),
        "",
        "questions and their answers (luthier explain question=answer says more)",
        *(_wrapped(question, catalog.names(question), width) for question in questions),
        "",
        "flags",
        "  -m, --multirun     one run for each combination of comma-separated values",
        "  --cfg job          print the composed recipe and stop (--resolve fills interpolations)",
        "  --info             print what Hydra knows: searchpath, defaults, plugins",
        "  --config-dir DIR   a further folder of recipes",
        "  --max-time 2h      a training saves and ends before it takes longer (exit code 5; resume=auto goes on)",
        "  --max-disk 50GB    … before the run's folder takes more",
        "  -p MODULE|no:NAME  load a further plugin, or leave one out",
        "  --trust pkg.Class  vouch for code of your own that a recipe names, exactly",
        "  --json             answers and errors for scripts",
        "  --debug            tracebacks",
        "  --trace-hooks      each call of a plugin's hook: whose, in which order, how long",
        "  --version",
    ]
    return "\n".join(lines)


def _wrapped(question: str, names: list[str], width: int) -> str:
    return textwrap.fill(
        ", ".join(names), 100, initial_indent=f"  {question:<{width}}  ", subsequent_indent=" " * (width + 4)
    )
