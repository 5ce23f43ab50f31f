"""Twenty kinds of secrets, given at every entry of a run: none of them is in a file that it writes, or on a stream."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from luthier.disk.redaction import redact, redact_text
from tests.command import luthier

DIGITS = "0123456789abcdef0123456789abcdef01234567"
SECRETS = {
    "hf_AbCdEfGhIjKlMnOpQrStUvWxYz012345": "AbCdEfGhIjKlMnOp",
    "sk-proj-abcdefghijklmnop1234567890": "proj-abcdefghijklmnop",
    "AKIAIOSFODNN7EXAMPLE": "IOSFODNN7EXAMPLE",
    "aws_secret_access_key=wJalrXUtnFEMIbPxRfiCYEXAMPLEKEY": "wJalrXUtnFEMI",
    "https://b.s3.example/x?X-Amz-Signature=fe5f80f77d5fa3beca038a248ff027d0": "fe5f80f77d5fa3",
    "https://x.blob.example/y?sv=2022-11-02&sig=abcDEF123%2Fxyz%3D": "abcDEF123",
    "AccountKey=Eby8vdM02xNOcqFlqUwJPLlm==": "Eby8vdM02xNOcq",
    "AIzaSyA-1234567890abcdefghijklmnopqrstu": "SyA-1234567890",
    "ghp_abcdefghijklmnopqrstuvwxyz0123456789": "abcdefghijklmnopqrstuvwxyz0123456789",
    "github_pat_11ABCDEFG0abcdefghijklZZ": "11ABCDEFG0abc",
    "glpat-abcdefghij0123456789": "abcdefghij0123456789",
    "xoxb-1234567890-abcdefghij": "1234567890-abc",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N": "dozjgNryP4J3",
    "https://me:correct-horse@example.org/data": "correct-horse",
    "Authorization: Bearer abcdef0123456789": "abcdef0123456789",
    "Authorization: Basic dXNlcjpwYXNzd29yZA==": "dXNlcjpwYXNz",
    "-----BEGIN RSA PRIVATE KEY----- MIIEowIBAAKCAQEA -----END RSA PRIVATE KEY-----": "MIIEowIBAAKC",
    f"wandb_key={DIGITS}": DIGITS,
    "password=swordfish": "swordfish",
    "npm_abcdefghijklmnopqrstuvwxyz012345ABCD": "012345ABCD",
}
"""Each secret as it is given, and what of it must be nowhere."""
OF_THE_ENVIRONMENT = "quite-an-ordinary-word"
LEAKY = """
import logging, os, sys, warnings
import luthier

SECRETS = os.environ["SEEDS"].split("|")


@luthier.hookimpl
def luthier_report(config):
    return [f"hook {one}" for one in SECRETS]


@luthier.hookimpl
def luthier_callbacks(config):
    import pytorch_lightning as pl

    class Leaky(pl.Callback):
        def on_train_start(self, trainer, method):
            for one in SECRETS:
                print("printed", one)
                print("complained", one, file=sys.stderr)
                logging.getLogger("mine").warning("logged %s", one)
                warnings.warn("warned " + one)
                method.warnings.append("warning " + one)

        def on_train_end(self, trainer, method):
            if os.environ.get("FAIL"):
                raise RuntimeError("cannot log in with " + " ".join(SECRETS))

    return [Leaky()]
"""


@pytest.fixture(scope="module")
def leaked(tmp_path_factory) -> Path:
    """A folder with a run to which every secret was given everywhere, one that failed, a sweep, and what they said."""
    place = tmp_path_factory.mktemp("leaky")
    (place / "leaky.py").write_text(LEAKY)
    recipes = place / "recipes" / "recipe"
    recipes.mkdir(parents=True)
    comments = "".join(f"# {one}\n" for one in SECRETS)
    (recipes / "mine.yaml").write_text(f"# @package _global_\n# Leak.\n{comments}name: mine\n")
    tags = ",".join(f'"{one}"' for one in [*SECRETS, DIGITS])
    words = ("-p", "leaky", "recipe=mine", "debug=tiny", "evaluation.general_examples=0", "tracking=wandb")
    seeds = {"SEEDS": "|".join([*SECRETS, OF_THE_ENVIRONMENT]), "MY_API_KEY": OF_THE_ENVIRONMENT}
    ended = {
        "whole": luthier(*words, f"tracking.tags=[{tags}]", "hydra.run.dir=whole", cwd=place, timeout=600, **seeds),
        "failed": luthier(
            *words,
            f"tracking.tags=[{tags}]",
            "stages=[fit]",
            "hydra.run.dir=failed",
            cwd=place,
            timeout=600,
            FAIL="1",
            **seeds,
        ),
        "refused": luthier(
            *words, *(f"+wrong={one}" for one in ("password=swordfish",)), cwd=place, timeout=600, **seeds
        ),
    }
    assert ended["whole"].returncode == 0, ended["whole"].stderr
    assert ended["failed"].returncode == 7, ended["failed"].stderr
    assert ended["refused"].returncode == 2, ended["refused"].stderr
    for name, one in ended.items():
        (place / f"{name}.out").write_text(one.stdout)
        (place / f"{name}.err").write_text(one.stderr)
    return place


def test_no_secret_is_in_a_file_or_on_a_stream(leaked):
    files = [file for file in leaked.rglob("*") if file.is_file() and "recipes" not in file.relative_to(leaked).parts]
    names = {file.name for file in files if file.is_relative_to(leaked / "whole")}
    expected = {"report.html", "MODEL_CARD.md", "README.md", "record.json", "resolved.yaml", "recipe.yaml", "run.log"}
    assert expected <= names
    assert any(name.endswith(".wandb") for name in names)
    found = {
        (str(file.relative_to(leaked)), heart)
        for file in files
        for heart in (*SECRETS.values(), OF_THE_ENVIRONMENT)
        if file.name != "leaky.py" and "__pycache__" not in file.parts and heart.encode() in file.read_bytes()
    }
    assert not found


def test_what_was_redacted_is_said_to_be(leaked):
    said = (leaked / "failed.err").read_text()
    assert "cannot log in with [redacted]" in said
    assert "hook [redacted]" in (leaked / "whole.err").read_text()
    assert "[redacted]" in (leaked / "whole" / "artifact" / "resolved.yaml").read_text()
    assert "[redacted]" in (leaked / "whole" / "report.html").read_text()


def test_a_run_with_redacted_settings_is_loaded_and_resumed(leaked, tmp_path):
    asked = luthier("chat", str(leaked / "whole"), "--message", "Hello", "--max-new-tokens", "2", cwd=tmp_path)
    assert asked.returncode == 0, asked.stderr


PLAIN = [
    "the commit c0ffeec0ffeec0ffeec0ffeec0ffeec0ffee1234",
    "model.revision=c0ffeec0ffeec0ffeec0ffeec0ffeec0ffee1234",
    "sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "a key at revision c0ffeec0ffeec0ffeec0ffeec0ffeec0ffee1234",
    "tokens: 1234567, tokenizer=byte-level, tiktoken: 0.14.0, pad_token='<pad_token>', bos_token: <|start|>",
    "the token is long, the password was forgotten, a task-force-of-twenty-people, secret: TEACHER_KEY",
    "https://example.org:8080/a@b and user@example.org",
    "Basic knowledge of music; a bearer of news; the signature (a, b)",
]


@pytest.mark.parametrize("text", PLAIN)
def test_what_is_no_secret_is_left_alone(text):
    assert redact_text(text) == text


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("around", ["{}", "before {} after", '{{"a": "{}"}}', "['{}', 1]", "x={}\ny", r"x\n{}\ny"])
def test_a_secret_is_taken_out_once_wherever_it_stands(secret, around):
    once = redact_text(around.format(secret))
    assert SECRETS[secret] not in once
    assert redact_text(once) == once


def test_forty_digits_are_a_key_below_a_tracker_and_a_commit_elsewhere():
    assert redact({"tracking": {"tags": [DIGITS]}}) == {"tracking": {"tags": ["[redacted]"]}}
    assert redact({"model": {"revision": DIGITS}}) == {"model": {"revision": DIGITS}}


def test_the_working_folder_is_no_secret_of_the_environment(monkeypatch):
    monkeypatch.setenv("PWD", os.getcwd())
    assert redact_text(os.getcwd()) == os.getcwd()
