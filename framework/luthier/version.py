"""The version of luthier."""

from __future__ import annotations

__version__ = "0.1.0"
"""The version of the distribution, as pip knows it."""
