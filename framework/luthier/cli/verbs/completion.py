"""`luthier completion bash|zsh|fish`: print the script that completes luthier's command line, or install it."""

from __future__ import annotations

import argparse
import os
from importlib import resources
from pathlib import Path

from luthier.cli.call import Call
from luthier.disk.writing import write_text

SHELLS = {
    "bash": ("XDG_DATA_HOME", ".local/share", "bash-completion/completions/luthier"),
    "zsh": ("XDG_DATA_HOME", ".local/share", "zsh/site-functions/_luthier"),
    "fish": ("XDG_CONFIG_HOME", ".config", "fish/completions/luthier.fish"),
}
AFTERWARDS = {
    "bash": "New shells load it where the package bash-completion is on; else add `source {file}` to ~/.bashrc.",
    "zsh": "Add to ~/.zshrc, before compinit: fpath+=({folder})",
    "fish": "New shells load it.",
}


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=sorted(SHELLS), help="the shell to complete in")
    parser.add_argument("--install", action="store_true", help="write it where the shell looks for completions")


def act(call: Call) -> int:
    shell = call.arguments.shell
    script = resources.files("luthier.cli.completion").joinpath(f"luthier.{shell}").read_text(encoding="utf-8")
    if not call.arguments.install:
        call.console.data(script.rstrip())
        return 0
    variable, folder, name = SHELLS[shell]
    file = Path(os.environ.get(variable) or Path.home() / folder) / name
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text(file, script)
    call.console.data(str(file), {"file": str(file)})
    call.console.say(AFTERWARDS[shell].format(file=file, folder=file.parent))
    return 0
