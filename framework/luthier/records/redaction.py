"""Keeps secrets out of what a run writes: configurations, logs, trackers, reports."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

REDACTED = "[redacted]"

_KEY = re.compile(
    r"(?:^|[_\-.])(?:password|passwd|passphrase|secret|api_?key|access_?key|secret_?key|private_?key|credentials?"
    r"|authorization|bearer|token)$",
    re.IGNORECASE,
)
_WORD_OF_A_MODEL = re.compile(
    r"(?:pad|eos|bos|unk|sep|cls|mask|image|audio|video|boi|eoi|start|end|decoder_start|special|virtual|new)_token$",
    re.IGNORECASE,
)
_VALUE = re.compile(
    r"""hf_[A-Za-z0-9]{16,}
      | \bsk-[A-Za-z0-9_\-]{16,}
      | \b(?:AKIA|ASIA)[0-9A-Z]{16}\b
      | \bgh[pousr]_[A-Za-z0-9]{20,} | \bgithub_pat_[A-Za-z0-9_]{20,} | \bglpat-[A-Za-z0-9_\-]{16,}
      | \bxox[abprs]-[A-Za-z0-9\-]{10,}
      | \bAIza[0-9A-Za-z_\-]{35}
      | \bwandb_v\d_[A-Za-z0-9_]{16,} | \bnvapi-[A-Za-z0-9_\-]{16,}
      | \bnpm_[A-Za-z0-9]{30,} | \bpypi-[A-Za-z0-9_\-]{30,}
      | \beyJ[A-Za-z0-9_\-]{8,}\.eyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]+
      | -----BEGIN[ ][A-Z ]*PRIVATE[ ]KEY-----.*?(?:-----END[ ][A-Z ]*PRIVATE[ ]KEY-----|\Z)
      | (?<=://)[^\s/:@]*:[^\s/@]+(?=@)
      | (?<=Bearer[ ])[A-Za-z0-9_\-.=+/]{8,}
    """,
    re.VERBOSE | re.DOTALL,
)
_ASSIGNMENT = re.compile(
    r"((?:password|passwd|passphrase|secret|api_?key|access_?key|(?<!pad_)(?<!eos_)(?<!bos_)(?<!unk_)token)"
    r"[\"']?\s*[=:]\s*[\"']?)([^\s\"',;&}\])]{6,})",
    re.IGNORECASE,
)
_NAME_OF_A_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")


def redact(value: Any, key: str = "") -> Any:
    """The value with every secret in it replaced: by the name of its key, by its form, or known from the environment.

    `secret: NAME` names an environment variable and stays; a tokenizer's `pad_token` and its like stay as well.
    """
    if isinstance(value, Mapping):
        return {name: redact(item, str(name)) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [redact(item, key) for item in value]
    if not isinstance(value, str) or not value:
        return value
    if key == "secret" and _NAME_OF_A_VARIABLE.fullmatch(value) and not _VALUE.search(value):
        return value
    if _names_a_secret(key):
        return REDACTED
    return redact_text(value)


def redact_text(text: str) -> str:
    """A text with whatever looks like a secret, or is one of the environment's, replaced."""
    for secret in _of_the_environment():
        text = text.replace(secret, REDACTED)
    return _ASSIGNMENT.sub(rf"\1{REDACTED}", _VALUE.sub(REDACTED, text))


def _names_a_secret(key: str) -> bool:
    return bool(_KEY.search(key)) and not _WORD_OF_A_MODEL.search(key)


def _of_the_environment() -> list[str]:
    secrets = {value for name, value in os.environ.items() if _names_a_secret(name) and len(value) >= 8}
    return sorted(secrets, key=len, reverse=True)
