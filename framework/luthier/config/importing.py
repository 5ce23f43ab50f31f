"""The class or function that a dotted name names."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from luthier.errors import PluginError
from luthier.plugins.blame import blamed


def named(target: str) -> Any:
    """The class or function that a dotted name names, classes inside classes too; PluginError without one."""
    words = target.split(".")
    for split in range(len(words) - 1, 0, -1):
        module = ".".join(words[:split])
        try:
            found: Any = import_module(module)
        except Exception as error:
            missing = error.name if isinstance(error, ModuleNotFoundError) else None
            if missing and (module == missing or module.startswith(f"{missing}.")):
                continue
            raise blamed(error) or error from error
        for word in words[split:]:
            found = getattr(found, word, None)
        if found is None:
            raise PluginError(
                f"{target!r} is named by an option file, but {module} has no {'.'.join(words[split:])!r}."
            )
        return found
    raise PluginError(f"The module of {target!r} cannot be found.", hint="Is its plugin installed?")
