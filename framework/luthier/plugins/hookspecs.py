"""The hooks that a plugin may implement. Few hooks, and each has two users.

A plugin is a module named by an entry point of the group `luthier`; it implements any of these functions under
`@luthier.hookimpl`. Importing it must be cheap: no torch, no transformers; parts are imported when a recipe names
them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from luthier.contracts.active_run import ActiveRun
    from luthier.contracts.report_section import ReportSection
    from luthier.contracts.verbs import Verb

hookspec = pluggy.HookspecMarker("luthier")
hookimpl = pluggy.HookimplMarker("luthier")
"""Marks a function of a plugin as an implementation of the hook of its name."""


@hookspec
def luthier_recipes() -> str:  # type: ignore[empty-body]
    """Name the package of your recipe folder, as `pkg://mine.options`, where it is not `recipes` in your own package.

    Called before composing; without the hook the package `recipes` beside your module is taken, if there is one.
    """


@hookspec
def luthier_trusts() -> Iterable[str]:  # type: ignore[empty-body]
    """Name further callables that recipes may use, exactly; those in your own option files are trusted already."""


@hookspec
def luthier_check(config: DictConfig) -> Iterable[str]:  # type: ignore[empty-body]
    """Say why this composition cannot work, a sentence each; called before anything is built, all shown together."""


@hookspec
def luthier_callbacks(config: DictConfig) -> Iterable[Any]:  # type: ignore[empty-body]
    """Give Lightning callbacks for every run while you are installed; called when the trainer is built."""


@hookspec
def luthier_report(config: DictConfig) -> Iterable[str]:  # type: ignore[empty-body]
    """Give lines for the head of the run's log; called once, when the run starts."""


@hookspec
def luthier_report_sections(record: Any) -> Iterable[ReportSection]:  # type: ignore[empty-body]
    """Give sections of the report and the model card of a run; called once when it has ended, with its `RunRecord`."""


@hookspec(firstresult=True)
def luthier_run(run: ActiveRun) -> float | None:
    """Carry out the run and give its score; wrap it to act before, after or on failure of a run."""


@hookspec
def luthier_verbs() -> Iterable[Verb]:  # type: ignore[empty-body]
    """Give further verbs of the command line; called when a command is parsed, so import nothing heavy."""


Hook = Callable[..., Any]
