"""A verb of the command line, as a plugin's `luthier_verbs` gives it."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Verb:
    """A name, a line of help, a function that declares the arguments and one that acts and gives the exit code.

    `act` is called with a `luthier.api.Call`.

    - *Given*: `declare` a parser of argparse; `act` a `luthier.api.Call` with the parsed arguments, the console,
      the plugins and luthier's own flags.
    - *Returns*: `act` an exit code: 0, or one of the [exit codes](../exit-codes.md). Results go to
      `call.console.data`, notes to `call.console.say`.
    - *Called*: the hook `luthier_verbs` by every command, so its module imports nothing heavy; `declare` and `act`
      where the verb is the first word. A verb of a plugin stands in `luthier --help`.
    - *Ranks*: one process; a verb that trains starts a run.
    - *Raises*: an error of `luthier.api` is shown as a sentence, with its exit code; anything else is shown as a
      fault of the plugin.
    - *Resume*: nothing.
    - *Nested*: a verb takes arguments, and composes recipes with `call.composer()`.
    """

    name: str
    """The word on the command line."""
    help: str
    """One line for `luthier --help`."""
    declare: Callable[[argparse.ArgumentParser], None]
    """Add the verb's arguments to its parser."""
    act: Callable[[Any], int]
    """Carry the verb out with a `luthier.api.Call` and give the exit code."""
