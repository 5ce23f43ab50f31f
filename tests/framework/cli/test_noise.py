"""What libraries say to their developers stays out of a user's terminal; what a plugin says does not."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.command import luthier as command

NOISY = """
import logging, warnings

def say(category, module, text):
    warnings.warn_explicit(text, category, "noisy.py", 1, module=module)

say(FutureWarning, "transformers.models.llama", "of transformers")
say(DeprecationWarning, "torch.utils", "of torch")
say(FutureWarning, "peft", "of peft")
say(FutureWarning, "noisy_plugin", "of the plugin")
say(UserWarning, "transformers.generation", "a warning of transformers")
say(RuntimeWarning, "peft.tuners.tuners_utils", "The following rank_pattern keys did not match any targeted module and "
    "were ignored: ['model.layers.0.mlp.down_proj.lora_E'].")
logging.getLogger("bitsandbytes.backends.cpu.ops").warning("Failed to load CPU gemm_4bit_forward")
logging.getLogger("bitsandbytes").warning("a warning of bitsandbytes")
"""


@pytest.mark.parametrize("words", [("plan", "debug=tiny"), ("preview", "debug=tiny"), ("plugins",)])
def test_announcements_of_libraries_are_not_shown_and_warnings_are(words, here, write):
    write("noisy_plugin.py", NOISY)
    end = command(*words, "-p", "noisy_plugin", cwd=here)
    assert end.returncode == 0, end.stderr
    for silenced in ("of transformers\n", "of torch", "of peft", "gemm_4bit", "rank_pattern"):
        assert silenced not in end.stderr.replace("a warning of transformers", "")
    for shown in ("of the plugin", "a warning of transformers", "a warning of bitsandbytes"):
        assert shown in end.stderr


def test_what_python_is_asked_to_show_is_shown(here, write):
    write("noisy_plugin.py", NOISY)
    words = [sys.executable, "-W", "default", "-m", "luthier", "plugins", "-p", "noisy_plugin"]
    end = subprocess.run(words, cwd=here, capture_output=True, text=True, timeout=120)
    assert "of peft" in end.stderr
