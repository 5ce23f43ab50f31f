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
    help: str
    declare: Callable[[argparse.ArgumentParser], None]
    act: Callable[[Any], int]
