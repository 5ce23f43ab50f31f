"""What stands between DSPy's optimisers and a search of ours. Only `program` imports dspy, when it is needed."""

from __future__ import annotations
