"""One interface to make text, and to score the texts that could have been made."""

from __future__ import annotations

from luthier.generate.answers import Answer, answered, generate
from luthier.generate.labels import score_labels
from luthier.generate.sampling import Sampling

__all__ = ["Answer", "Sampling", "answered", "generate", "score_labels"]
