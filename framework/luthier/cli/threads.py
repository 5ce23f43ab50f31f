"""How the threads of torch wait for each other."""

from __future__ import annotations

import os
from collections.abc import MutableMapping

SPINS = "2000"


def wait_briefly(environ: MutableMapping[str, str] = os.environ) -> None:
    """Let threads spin for some microseconds before they sleep; must be called before torch is imported.

    OpenMP threads that are done spin for milliseconds until the last one is, by default. Where another program has
    taken one of their cores, each small operation then waits for the scheduler. Who has chosen `OMP_WAIT_POLICY` or
    `GOMP_SPINCOUNT` keeps their choice.
    """
    if "OMP_WAIT_POLICY" not in environ:
        environ.setdefault("GOMP_SPINCOUNT", SPINS)
