"""How long a plugin takes to import, which every command waits for, and what comes with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

from luthier.plugins.registry import SLOW
from luthier.plugins.source_code import spec
from luthier.workflows.plugin_check.subject import Finding, Subject

CHECK = "import"
HEAVY = ("torch", "transformers", "pytorch_lightning", "datasets", "peft")
PROGRAM = """
import importlib, json, sys, time
import luthier.api, luthier.plugins.hookspecs
began = time.process_time()
importlib.import_module(sys.argv[1])
print(json.dumps([time.process_time() - began, sorted(set(sys.argv[2:]) & set(sys.modules))]))
"""


def check(subject: Subject) -> Iterator[Finding]:
    """Import each module of an entry point in a fresh process."""
    for plugin in subject.own:
        if plugin.problem or plugin.off:
            continue
        seconds, heavy = _imported(plugin.module)
        if seconds > SLOW:  # once more, as Python has compiled it by now
            seconds, heavy = _imported(plugin.module)
        found = spec(plugin.module)
        where = str(found.origin) if found else plugin.module
        if heavy:
            message = (
                f"Importing {plugin.module} imports {', '.join(heavy)}, and every command of luthier does so, too."
            )
            hint = "Import it in the modules of the parts, or inside of the hooks."
            yield Finding(CHECK, "failed", message, where, hint)
        elif seconds > SLOW:
            message = f"Importing {plugin.module} takes {seconds:.1f} s, and every command of luthier waits for it."
            yield Finding(CHECK, "failed", message, where, "Import what takes long inside of the hooks.")
        else:
            yield Finding(CHECK, "passed", f"{plugin.module} is imported in {seconds:.2f} s, without torch.")


def _imported(module: str) -> tuple[float, list[str]]:
    """Seconds of computing, and what of HEAVY came along."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", PROGRAM, module, *HEAVY], env=environment, capture_output=True, text=True, timeout=120
    )
    if done.returncode:
        return 0.0, []  # that it does not load is told elsewhere
    seconds, heavy = json.loads(done.stdout.splitlines()[-1])
    return float(seconds), list(heavy)
