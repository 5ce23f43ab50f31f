"""Call a plugin's hook implementation and check the type of its result."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterable, Mapping
from contextlib import redirect_stdout
from typing import Any

from luthier.errors import LuthierError, PluginError
from luthier.plugins import hookspecs
from luthier.plugins.blame import culprit, place_of
from luthier.plugins.error_text import error_text
from luthier.plugins.returned import as_shown

_OF_A_CALLBACK = ("on_fit_start", "on_train_batch_end", "state_dict")  # Lightning is not imported for this
_SEVERAL = {
    "Iterable[str]": "several texts",
    "Iterable[Any]": "several Lightning callbacks",
    "Iterable[Verb]": "several verbs, each a word, a line of help and two functions",
    "Iterable[ReportSection]": "several report sections, each of lists of texts, every row with a text for each column",
}
_WORD = re.compile(r"[^\s=~+-][^\s=]*")


def call_hook(implementation: Any, hook: str, given: Mapping[str, Any]) -> Any:
    """The result of a hook implementation, of the hook's type.

    PluginError with its place where it raises or returns anything else.
    """
    arguments = {key: given[key] for key in implementation.argnames}
    try:
        with redirect_stdout(sys.stderr):
            return _as_promised(hook, implementation.function(**arguments))
    except (KeyboardInterrupt, LuthierError):
        raise
    except BaseException as error:
        raise PluginError(f"{error_text(error)}, in {culprit(error) or place_of(implementation.function)}.") from error


def _as_promised(hook: str, answer: Any) -> Any:
    promised = str(inspect.get_annotations(getattr(hookspecs, hook))["return"])
    if answer is None or promised == "str":
        if answer is not None and not isinstance(answer, str):
            raise _misreturned(answer, "text")
        return answer
    if isinstance(answer, str | Mapping) or not isinstance(answer, Iterable):
        raise _misreturned(answer, _SEVERAL[promised])
    items = list(answer)
    wrong = [item for item in items if not _is(item, promised)]
    if wrong:
        raise _misreturned(wrong[0], _SEVERAL[promised], "with ")
    return items


def _misreturned(value: Any, expected: str, among: str = "") -> TypeError:
    return TypeError(f"it must return {expected}, and returned {among}{as_shown(value)}")


def _is(item: Any, promised: str) -> bool:
    if promised == "Iterable[Verb]":
        return _is_verb(item)
    if promised == "Iterable[ReportSection]":
        return _is_section(item)
    if promised == "Iterable[Any]":
        return not isinstance(item, type) and all(hasattr(item, name) for name in _OF_A_CALLBACK)
    return promised != "Iterable[str]" or isinstance(item, str)


def _is_verb(item: Any) -> bool:
    """A name that the command line reads as one word and no setting, a line of help, and two functions."""
    name, help_ = getattr(item, "name", None), getattr(item, "help", None)
    return (
        isinstance(name, str)
        and _WORD.fullmatch(name) is not None
        and isinstance(help_, str)
        and all(callable(getattr(item, function, None)) for function in ("declare", "act"))
    )


def _is_section(item: Any) -> bool:
    from luthier.contracts.report_section import ReportSection

    if not isinstance(item, ReportSection):
        return False
    if not all(isinstance(one, list) for one in (item.paragraphs, item.columns, item.rows, *item.rows)):
        return False
    texts = [item.title, *item.paragraphs, *item.columns, *(cell for row in item.rows for cell in row)]
    fits = all(len(row) == len(item.columns) for row in item.rows)
    return bool(item.title) and fits and all(isinstance(text, str) for text in texts)
