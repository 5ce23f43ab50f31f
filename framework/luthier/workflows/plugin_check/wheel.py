"""What was installed: entry points that load, and every option file in the wheel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from luthier.plugins.source_code import spec
from luthier.workflows.plugin_check.subject import Finding, Subject

LOADS, WHEEL = "plugins", "wheel"


def check_plugins(subject: Subject) -> Iterator[Finding]:
    """Each entry point of the group `luthier` is imported, and has hooks as luthier has them."""
    if not subject.entry_points:
        yield Finding(
            LOADS,
            "failed",
            f"{subject} has no entry point of the group luthier, so luthier does not know it.",
            hint='Add [project.entry-points.luthier] with NAME = "PACKAGE" to pyproject.toml, and install it again.',
        )
    for plugin in subject.own:
        if plugin.off:
            yield Finding(LOADS, "failed", f"The plugin {plugin} is switched off.", hint="Check it without -p no: .")
        elif plugin.problem:
            message = f"The plugin {plugin} does not load: {plugin.problem}."
            yield Finding(LOADS, "failed", message, _file(plugin.module))
        else:
            yield Finding(LOADS, "passed", f"{plugin.name} loads.")


def _file(module: str) -> str:
    found = spec(module.partition(":")[0])
    return str(found.origin) if found and found.origin else "entry_points.txt"


def check_wheel(subject: Subject) -> Iterator[Finding]:
    """Option files lie where luthier looks, and the wheel brought them."""
    unseen = list(_unseen(subject))
    yield from unseen
    brings = [plugin for plugin in subject.own if _brings(plugin.name, subject)]
    for plugin in subject.own:
        if plugin not in brings and not unseen and not plugin.problem and not plugin.off:
            yield Finding(
                WHEEL,
                "failed",
                f"The plugin {plugin} brings nothing: its wheel holds no option file, and it has no hook.",
                _file(plugin.module),
                "Let the build include the YAML files as package data; hatchling does so by itself.",
            )
    if subject.is_editable:
        message = f"{subject} is installed as a link to its source, so what a wheel would hold is not seen."
        yield Finding(WHEEL, "skipped", message, hint="Build a wheel, install that, and check again.")
        return
    recorded = {
        Path(str(subject.distribution.locate_file(file))).resolve() for file in subject.distribution.files or ()
    }
    missing = [answer for answer in subject.answers if answer.file.resolve() not in recorded]
    for answer in missing:
        message = f"The option file of {answer} is not in the wheel (RECORD does not list it)."
        yield Finding(WHEEL, "failed", message, str(answer.file), "Let the build include it as package data.")
    if brings and not missing:
        yield Finding(WHEEL, "passed", f"The wheel holds {len(subject.answers)} option files.")


def _brings(plugin: str, subject: Subject) -> bool:
    hooks = set(subject.plugins.hooks_of(plugin)) - {"luthier_recipes"}
    return bool(hooks) or any(answer.owner == plugin for answer in subject.answers)


def _unseen(subject: Subject) -> Iterator[Finding]:
    """Folders called `recipes` beside a plugin that are no package, so that nobody looks into them."""
    for plugin in subject.own:
        found = spec(plugin.module.partition(":")[0])
        for place in (found.submodule_search_locations or ()) if found else ():
            folder = Path(place, "recipes")
            if folder.is_dir() and not (folder / "__init__.py").is_file() and any(folder.rglob("*.yaml")):
                message = f"The option files in {folder} are not found: the folder has no __init__.py."
                yield Finding(WHEEL, "failed", message, hint="Put an empty one into it.")
