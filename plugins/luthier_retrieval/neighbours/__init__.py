"""How the vectors near another one are found. One way a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from luthier.api import Vectors

Near = Callable[[Vectors, int], tuple[NDArray[np.int64], Vectors]]
"""(vector [d], k) → the numbers of at most k vectors, and their products with it, the largest first."""


class Neighbours(Protocol):
    """Finds the vectors with the largest product."""

    def write(self, folder: Path, vectors: Vectors) -> None:
        """Prepare the vectors of a segment in its folder."""

    def open(self, folder: Path, vectors: Vectors) -> Near:
        """A search in what `write` prepared; the vectors are memory-mapped."""

    def identity(self) -> str:
        """Changes with all that `write` depends on."""
