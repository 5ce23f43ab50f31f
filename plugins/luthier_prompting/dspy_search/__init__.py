"""The adapter between DSPy's optimisers and our prompts and scores. Only `program` imports dspy, when it is needed."""

from __future__ import annotations
