"""One interface to make text, and to score the texts that could have been made."""

from __future__ import annotations

from luthier.inference.generation.answers import Answer, answered, generate
from luthier.inference.generation.labels import score_labels
from luthier.inference.generation.sampling import Sampling

__all__ = ["Answer", "Sampling", "answered", "generate", "score_labels"]
