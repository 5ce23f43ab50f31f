"""Training that grows patient; imported by every command, so it imports nothing heavy."""

from .guards import luthier_check

__all__ = ["luthier_check"]
