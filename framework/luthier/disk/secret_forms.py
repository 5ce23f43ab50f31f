"""How secrets look: by their own form, by the name before them in a text, by the name of their key.

A commit, a digest and the id of a data set are hexadecimal, too, and stay: forty such digits are a key only where a
name beside them says so.
"""

from __future__ import annotations

import re
from functools import cache

FORM = re.compile(
    r"""hf_[A-Za-z0-9]{16,}
      | sk-[A-Za-z0-9_\-]{16,} | sk_(?:live|test)_[A-Za-z0-9]{16,} | rk_(?:live|test)_[A-Za-z0-9]{16,}
      | AKIA[0-9A-Z]{16}\b | ASIA[0-9A-Z]{16}\b
      | gh[pousr]_[A-Za-z0-9]{20,} | github_pat_[A-Za-z0-9_]{20,} | gl[a-z]{2,6}-[A-Za-z0-9_\-]{18,}
      | xox[abeprs]-[A-Za-z0-9\-]{10,} | xapp-[A-Za-z0-9\-]{10,}
      | https://hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9/_\-]{16,}
      | AIza[0-9A-Za-z_\-]{35} | ya29\.[0-9A-Za-z_\-]{20,} | GOCSPX-[A-Za-z0-9_\-]{20,}
      | wandb_v\d_[A-Za-z0-9_]{16,} | nvapi-[A-Za-z0-9_\-]{16,}
      | npm_[A-Za-z0-9]{30,} | pypi-[A-Za-z0-9_\-]{30,} | dop_v1_[a-f0-9]{32,}
      | eyJ[A-Za-z0-9_\-]{8,}\.eyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]+
      | -----BEGIN[ ][A-Z ]*PRIVATE[ ]KEY-----[^"'<>]*?(?:-----END[ ][A-Z ]*PRIVATE[ ]KEY-----|(?=["'<>])|\Z)
      | ://[^\s/:@"'<>]*:(?!\[redacted\]@)[^\s/"'<>]+@(?=[^\s/@])
      | Bearer[ ](?=\S*\d)[A-Za-z0-9_\-.=+/~]{8,}
    """,
    re.VERBOSE,
)
"""Values that are a secret wherever they stand; each begins with a letter, so that a long text is soon read."""
KEPT = {"://": ("://", "@"), "Bearer ": ("Bearer ", "")}
"""What is left around a secret of these beginnings."""
INSIDE_A_WORD = re.compile(r"[A-Za-z0-9](?:sk-|gl[a-z]{2,6}-)")
"""`task-force` and `jangly-strings` are no secrets."""

ASSIGNED = re.compile(
    r"(?P<before>(?P<name>password|passwd|passphrase|secret|key|credentials?|authorization|token|sig(?:nature)?)"
    r"\\?[\"']?(?P<between>\s*[=:]\s*|[ ])\\?[\"']?(?:(?:Bearer|Basic|Token)[ ]+)?)"
    r"(?P<value>(?!\[redacted\])[^\s\"'\\,;&<>}\])]{6,})",
    re.IGNORECASE,
)
"""`password=…`, `"api_key": "…"`, `--token …`, `?sig=…`, `X-Amz-Signature=…` in a text."""
BEFORE_A_NAME = {
    "key": re.compile(r"(?:api|access|account|secret|private|shared|subscription)[_\-]?$", re.IGNORECASE),
    "token": re.compile(r"(?<![a-zA-Z])(?:(?:access|api|auth|hf|hub|id|refresh|session|wandb)[_\-]?)?$", re.IGNORECASE),
    "sig": re.compile(r"(?<![a-zA-Z])$"),
    "signature": re.compile(r"(?<![a-zA-Z])$"),
}
"""What must stand before a word that is a part of harmless ones, too."""
ANSWER = re.compile(r"(?:^|[\s/])[a-z_]+=\w*$")
"""What stands before the name where that ends the name of an answer: `optimizer=bad_`."""
NAME_OF_A_CLASS = re.compile(r"[A-Za-z_]+(?:\.[A-Za-z_]+)*")
"""What a message of luthier names behind an answer; its place follows in parentheses."""
FORTY_DIGITS = re.compile(r"(?<![0-9a-zA-Z])[0-9a-f]{40}(?![0-9a-zA-Z])")
"""A key of W&B, or a commit."""
SAYS_KEY = re.compile(r"wandb|w&b|tracking|(?:key|token|auth|login|secret|password)\b[^\n]*\Z", re.IGNORECASE)
"""What stands before forty digits that are a key."""
NO_KEY = re.compile(r"revision|commit|sha|hash|digest|version|\bid\b|\bat\b", re.IGNORECASE)
"""What stands between such a name and forty digits that are no key."""

KEY = re.compile(
    r"(?:^|[_\-. ])(?:pass(?:word|wd|phrase)|secret|(?:api|access|account|secret|private|shared)[_\-]?key"
    r"|api_?token|credentials?|authorization|bearer|token)$",
    re.IGNORECASE,
)
"""The last word of keys whose values are secrets."""
WORD_OF_A_MODEL = re.compile(
    r"(?:pad|eos|bos|unk|sep|cls|mask|image|audio|video|boi|eoi|start|end|decoder_start|special|virtual|new)_$",
    re.IGNORECASE,
)
"""What stands before `token` in the settings of a tokenizer."""
TRACKERS = re.compile(r"wandb|tracking", re.IGNORECASE)
"""Keys below which forty hexadecimal digits are a key."""
NAME_OF_A_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")
"""What `secret:` holds in a recipe: the name of an environment variable, and no secret."""


@cache
def names_a_secret(key: str) -> bool:
    """Whether a key says that its value is a secret."""
    key = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key)
    found = KEY.search(key)
    return found is not None and not (key.lower().endswith("token") and WORD_OF_A_MODEL.search(key[: -len("token")]))
