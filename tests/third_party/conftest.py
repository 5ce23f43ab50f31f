"""The strangers' own tests run where the strangers are installed."""

from __future__ import annotations

collect_ignore = [
    "luthier_haiku", "luthier_tanka", "patience_school", "terse_rewards", "word_counts", "campfire",
]  # fmt: skip
