"""`luthier plugins`: list the plugins, what each provides, and the errors of those that failed to load."""

from __future__ import annotations

import argparse
from typing import Any

from luthier.cli.call import Call
from luthier.config.catalog import Catalog
from luthier.plugins.registry import Plugin


def declare(parser: argparse.ArgumentParser) -> None:
    pass


def act(call: Call) -> int:
    catalog = call.catalog()
    records = [_record(plugin, call, catalog) for plugin in call.plugins.known]
    rows = [(one["name"], one["distribution"], one["state"], _brings(one)) for one in records]
    table = call.console.table(("plugin", "distribution", "state", "brings"), rows)
    call.console.data(table if records else "No plugins are installed.", records)
    return 0


def _record(plugin: Plugin, call: Call, catalog: Catalog) -> dict[str, Any]:
    return {
        "name": plugin.name,
        "module": plugin.module,
        "distribution": f"{plugin.distribution} {plugin.version}".strip() or f"-p {plugin.module}",
        "state": "off" if plugin.off else "broken" if plugin.problem else "on",
        "problem": plugin.problem,
        "answers": [str(answer) for answer in catalog if answer.owner == plugin.name],
        "hooks": call.plugins.hooks_of(plugin.name),
    }


def _brings(record: dict[str, Any]) -> str:
    hooks = [hook for hook in record["hooks"] if hook != "luthier_recipes"]
    return (
        record["problem"] or ", ".join([*record["answers"], *hooks]) or ("nothing" if record["state"] == "on" else "")
    )
