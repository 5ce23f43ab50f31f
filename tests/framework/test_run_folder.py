"""The folder of a run: one owner, small files that are never half written, no secrets."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import yaml

from luthier.disk.redaction import REDACTED, redact, redact_text
from luthier.errors import RecipeError, ResourceError
from luthier.records import environment as surroundings
from luthier.records.folder import RunFolder

HOLD = """
import sys, time
from pathlib import Path
from luthier.records.folder import RunFolder
with RunFolder(Path(sys.argv[1])).lock():
    print("mine", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def other(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "mine\n"
    yield process
    process.kill()
    process.wait()


def test_a_second_process_is_refused_and_told_who_owns_the_folder(tmp_path, other):
    with pytest.raises(RecipeError, match=f"process {other.pid} on ") as caught, RunFolder(tmp_path).lock():
        pass
    assert caught.value.code == 2


def test_the_lock_of_a_killed_process_is_taken_over(tmp_path, other, caplog):
    other.send_signal(signal.SIGKILL)
    other.wait()
    with RunFolder(tmp_path).lock():
        assert json.loads((tmp_path / "lock").read_text())["pid"] == os.getpid()
    assert f"process {other.pid}" in caplog.text
    assert (tmp_path / "lock").read_text() == ""


def test_a_process_does_not_own_a_folder_twice(tmp_path):
    with RunFolder(tmp_path).lock(), pytest.raises(RecipeError), RunFolder(tmp_path).lock():
        pass
    with RunFolder(tmp_path).lock():
        pass


@pytest.mark.parametrize(
    ("started", "host", "free"), [(0.0, None, True), (None, None, False), (0.0, "elsewhere", False)]
)
def test_where_the_system_has_no_locks_pid_start_and_host_decide(tmp_path, monkeypatch, started, host, free):
    import psutil

    from luthier.records import lock as run_lock

    monkeypatch.setattr(run_lock, "fcntl", None)
    owner = run_lock._me() | {"pid": os.getppid(), "started": psutil.Process(os.getppid()).create_time()}
    owner |= {"started": started} if started is not None else {}
    (tmp_path / "lock").write_text(json.dumps(owner | ({"host": host} if host else {})))
    if free:
        with RunFolder(tmp_path).lock():
            pass
    else:
        with pytest.raises(RecipeError), RunFolder(tmp_path).lock():
            pass


def test_other_ranks_share_the_lock_of_the_first(tmp_path, other, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "1")
    with RunFolder(tmp_path).lock():
        pass


def test_a_folder_that_cannot_be_made_is_a_resource_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match=r"hydra\.run\.dir"), RunFolder(tmp_path / "file" / "run").lock():
        pass


SECRETS = {
    "hub token": "hf_AbCdEfGhIjKlMnOpQrStUvWxYz012345",
    "model provider": "sk-proj-abcdefghijklmnop1234567890",
    "cloud id": "AKIAIOSFODNN7EXAMPLE",
    "code host": "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    "code host, fine": "github_pat_11ABCDEFG0abcdefghijkl",
    "chat": "xoxb-1234567890-abcdefghij",
    "maps": "AIzaSyA-1234567890abcdefghijklmnopqrstu",
    "tracker": "wandb_v1_abcdefghijklmnopqrstuvwxyz",
    "registry": "pypi-AgEIcHlwaS5vcmcCJDAwMDAwMDAwMDAwMDAw",
    "session": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
    "url": "https://me:correct-horse@example.org/data",
    "key": "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----",
    "header": "Authorization: Bearer abcdef0123456789",
}
HEARTS = SECRETS | {
    "url": "correct-horse", "key": "MIIEow", "header": "abcdef0123456789",
}  # fmt: skip


@pytest.mark.parametrize("kind", SECRETS)
def test_a_secret_is_found_by_its_form_in_every_file_of_the_folder(tmp_path, kind):
    folder, secret = RunFolder(tmp_path), SECRETS[kind]
    folder.write_recipe(f"# mine\nnote: see {secret}\n")
    folder.write_resolved({"a": [{"b": f"x {secret} y"}], "c": secret})
    folder.write_environment({"packages": {"x": secret}})
    for file in tmp_path.iterdir():
        assert HEARTS[kind] not in file.read_text()
        assert "redacted" in file.read_text()


@pytest.mark.parametrize(
    "key",
    ["password", "api_key", "apiKey", "hub_token", "token", "client_secret", "aws_secret_access_key", "auth.token"],
)
def test_a_secret_is_found_by_the_name_of_its_key(key):
    assert redact({key: "whatever it is"}) == {key: REDACTED}


@pytest.mark.parametrize(
    "plain",
    [
        {"pad_token": "<pad>", "eos_token": "</s>", "sample_tokens": 96, "max_tokens": "7", "tokenizer": "x"},
        {"secret": "HUB_TOKEN"},
        {"revision": "c0ffee" * 6 + "beef", "token": None, "use_token": True, "path": "runs/a", "lr": 1e-4},
        {"url": "https://example.org:8080/a@b", "note": "the token is long", "mode": "offline"},
    ],
)
def test_what_is_no_secret_stays(plain):
    assert redact(plain) == plain


def test_what_the_environment_calls_a_secret_is_hidden_wherever_it_turns_up(monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "0123456789abcdef0123456789abcdef01234567")
    assert redact_text("login failed: 0123456789abcdef0123456789abcdef01234567!") == f"login failed: {REDACTED}!"


def test_assignments_in_messages_are_hidden():
    assert "swordfish" not in redact_text("could not log in with password=swordfish at host")
    assert redact_text("pad_token='<pad_token>' is set") == "pad_token='<pad_token>' is set"


def test_the_resolved_recipe_reads_back(tmp_path):
    config = {"name": "täst", "optimizer": {"lr": 1e-4, "betas": [0.9, 0.95]}, "resume": None}
    RunFolder(tmp_path).write_resolved(config)
    assert yaml.safe_load((tmp_path / "resolved.yaml").read_text()) == config


def test_a_score_is_read_back_and_a_missing_or_broken_one_is_none(tmp_path):
    folder = RunFolder(tmp_path)
    assert folder.read_score() is None
    folder.write_score(0.875, "accuracy")
    assert folder.read_score() == 0.875
    folder.score.write_text("{")
    assert folder.read_score() is None


def test_the_surroundings_hold_versions_hardware_and_commit_but_no_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("SOME_TOKEN", "a-very-secret-thing")
    folder = RunFolder(tmp_path)
    at = time.perf_counter()
    folder.write_environment(surroundings.describe(seed=7))
    assert time.perf_counter() - at < 5
    found = json.loads(folder.environment.read_text())
    assert found["seed"] == 7
    assert found["packages"]["numpy"]
    assert found["hardware"]["cores"] == os.cpu_count()
    assert "a-very-secret-thing" not in folder.environment.read_text()


def test_a_commit_is_that_of_the_folder(tmp_path):
    assert surroundings.commit(tmp_path) is None
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], check=True)
    (tmp_path / "file").write_text("1")
    subprocess.run([*git, "add", "file"], check=True)
    subprocess.run([*git, "commit", "-qm", "one"], check=True)
    found = surroundings.commit(tmp_path)
    assert len(found["revision"]) == 40
    assert found["changed"] is False
    (tmp_path / "file").write_text("2")
    assert surroundings.commit(tmp_path)["changed"] is True
