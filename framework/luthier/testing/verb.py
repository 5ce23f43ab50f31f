"""What every verb keeps to; inherit it, and say the plugin and the verb.

class TestMine(VerbContract):
    plugin, verb = "mine", "publish"
    arguments = ("runs/none",)
"""

from __future__ import annotations

import argparse
from typing import ClassVar

import pytest

from luthier.contracts.verbs import Verb
from luthier.errors import exit_codes
from luthier.testing.hook import alone, ended
from luthier.testing.part import brought


class VerbContract:
    """`plugin` is the module with the hook `luthier_verbs`, `verb` the word on the command line.

    `arguments` are those of a call that ends with `exit_code`; leave them out where nothing can be called in a test.
    """

    plugin: ClassVar[str]
    verb: ClassVar[str]
    arguments: ClassVar[tuple[str, ...] | None] = None
    exit_code: ClassVar[int] = 0

    def found(self) -> Verb:
        """The verb, as the hook gives it."""
        given = [verb for _, verbs in alone(self._module()).ask("luthier_verbs") for verb in verbs]
        assert self.verb in {verb.name for verb in given}, f"{self.plugin} gives {[verb.name for verb in given]}"
        verb: Verb = next(verb for verb in given if verb.name == self.verb)
        return verb

    def test_it_is_a_word_with_a_line_of_help(self) -> None:
        found = self.found()
        assert found.name.replace("-", "").isalnum()
        assert found.help
        assert "\n" not in found.help

    def test_it_declares_its_arguments(self) -> None:
        parser = argparse.ArgumentParser(prog=self.verb)
        self.found().declare(parser)
        parser.format_help()

    def test_its_module_brings_no_torch(self) -> None:
        """Every command asks for the verbs."""
        assert brought(self._module()) == []

    def test_it_stands_in_the_help_of_luthier(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert ended(self._module(), "--help") == 0
        assert self.found().help in " ".join(capsys.readouterr().out.split())

    def test_its_own_help_is_shown(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert ended(self._module(), self.verb, "--help") == 0
        assert self.verb in capsys.readouterr().out

    def test_a_call_ends_with_its_exit_code(self) -> None:
        if self.arguments is not None:
            assert self.exit_code in exit_codes.MEANINGS
            assert ended(self._module(), self.verb, *self.arguments) == self.exit_code

    def _module(self) -> str:
        return self.plugin.partition(":")[0]
