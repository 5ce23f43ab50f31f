"""Contract suites that authors of plugins inherit: a module for each kind of part, `kinds.KINDS` lists them."""

import sys

if "pytest" in sys.modules:
    sys.modules["pytest"].register_assert_rewrite(__name__)  # so that a suite that fails shows what it compared
