"""Contract suites that authors of plugins inherit: a module for each kind of part, `kinds.KINDS` lists them."""

from __future__ import annotations

import pkgutil
import sys

if "pytest" in sys.modules:  # so that a suite that fails shows what it compared
    sys.modules["pytest"].register_assert_rewrite(*(f"{__name__}.{one.name}" for one in pkgutil.iter_modules(__path__)))
