"""`luthier <verb> …` does one thing; each verb is a file of this folder, or comes from a plugin's `luthier_verbs`."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType

from luthier.contracts.verbs import Verb
from luthier.errors import PluginError
from luthier.plugins.registry import Plugins
from luthier.reporting.console import Console

BUILT_IN: Mapping[str, str] = MappingProxyType(
    {
        "demo": "Customise a tiny model on packaged data, offline, in seconds",
        "init": "Write a commented starter recipe for your own data file",
        "recipes": "List the recipes, or the answers to a question",
        "plugins": "List the plugins and what each brings",
        "new-plugin": "Write a package of your own parts, typed and tested",
        "plugin-check": "Check an installed plugin: files, settings, requirements, and each part as a tiny twin",
        "explain": "Say what an answer is: settings, types, defaults, paper, an example",
        "plan": "Check a recipe and estimate memory, time and disk; load and write nothing",
        "launch-file": "Write the job file with which SLURM, Kubernetes or SkyPilot carries a recipe out",
        "prove-resume": "Kill a recipe's training, let it go on, and compare it bit for bit",
        "reproduce": "Make steps of a run again from a checkpoint, and compare them bit for bit",
        "preview": "Show each token of your examples with its message, mask and weight",
        "chat": "Talk to the model that a run made",
        "export": "Write a run's model as plain transformers load it",
        "evaluate": "Score one or several runs on the same examples",
        "advise": "Say which recipes to compare first, from what you have, and why",
        "compare": "Run recipes on one evaluation and one budget, and report quality against cost",
        "sweep-report": "Say what a sweep found, and write its best as a recipe",
        "measure": "Time the answers of a run's model: latency, tokens a second, memory, size",
        "schema": "Print the JSON Schema of a recipe, for editors",
        "completion": "Print or install completion for bash, zsh or fish",
    }
)


def built_in(name: str) -> Verb:
    """Import the file of a verb; it has `declare` and `act`."""
    module = import_module(f"luthier.cli.verbs.{name.replace('-', '_')}")
    return Verb(name, BUILT_IN[name], module.declare, module.act)


def of_plugins(
    plugins: Plugins, console: Console | None = None, failures: list[PluginError] | None = None
) -> dict[str, Verb]:
    """The verbs of plugins by name; `console` is told of those that another verb of the same name hides.

    A plugin whose hook fails has none; its failure is added to `failures`, or told to the console.
    """

    def failed(failure: PluginError) -> None:
        if failures is not None:
            failures.append(failure)
        elif console is not None:
            console.say(f"warning: {failure}")

    found: dict[str, Verb] = {}
    for plugin, verbs in plugins.ask("luthier_verbs", failed=failed):
        for verb in verbs:
            if verb.name not in BUILT_IN and verb.name not in found:
                found[verb.name] = verb
            elif console is not None:
                whose = "another plugin" if verb.name in found else "luthier itself"
                who = plugins.describe(plugin)
                console.say(
                    f"warning: the verb {verb.name!r} of plugin {who} is left out: {whose} has one of this name"
                )
    return found
