from __future__ import annotations

import os
import subprocess
import sys

import pytest

from luthier.cli.threads import SPINS, wait_briefly


@pytest.mark.parametrize("chosen", [{"OMP_WAIT_POLICY": "active"}, {"GOMP_SPINCOUNT": "7"}])
def test_who_has_chosen_how_threads_wait_keeps_that(chosen: dict[str, str]) -> None:
    environ = dict(chosen)
    wait_briefly(environ)
    assert environ == chosen


def test_threads_wait_briefly_unless_told_otherwise() -> None:
    environ: dict[str, str] = {}
    wait_briefly(environ)
    assert environ == {"GOMP_SPINCOUNT": SPINS}


def test_the_command_says_so_before_torch_is_there() -> None:
    program = (
        "import os, sys\n"
        "from luthier.cli.main import main\n"
        "try:\n    main(['--version'])\n"
        "except SystemExit:\n    print(os.environ['GOMP_SPINCOUNT'], 'torch' in sys.modules)"
    )
    environ = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    done = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.split()[-2:] == [SPINS, "False"]
