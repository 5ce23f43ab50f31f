"""Text from conversations, and the log-probability of labels as the next turn."""

from __future__ import annotations

from luthier.inference.generation.answers import generate, generate_from_tokens
from luthier.inference.generation.labels import score_labels

__all__ = ["generate", "generate_from_tokens", "score_labels"]
