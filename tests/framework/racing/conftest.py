"""The command line in this process, for what does not run anything."""

from __future__ import annotations

from tests.framework.cli.conftest import here, luthier, session_cache, write  # noqa: F401
