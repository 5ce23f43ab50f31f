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
    """

    name: str
    """The word on the command line."""
    help: str
    """One line for `luthier --help`."""
    declare: Callable[[argparse.ArgumentParser], None]
    """Add the verb's arguments to its parser."""
    act: Callable[[Any], int]
    """Carry the verb out with a `luthier.api.Call` and give the exit code."""
