"""The adaptations with virtual tokens keep the contract of adaptations."""

from __future__ import annotations

from typing import ClassVar

from luthier.testing.adaptation import AdaptationContract

FEW = "adaptation.virtual_tokens=4"


class VirtualTokensContract(AdaptationContract):
    """Virtual tokens change the logits before any training, and cannot be merged into a weight."""

    cannot: ClassVar[frozenset[str]] = frozenset({"identity", "merge"})


class TestPrefix(VirtualTokensContract):
    words = ("adaptation=prefix", FEW)


class TestPrefixItself(VirtualTokensContract):
    words = ("adaptation=prefix", FEW, "adaptation.reparameterise=false", "adaptation.init=zero")


class TestPromptTuning(VirtualTokensContract):
    words = ("adaptation=prompt_tuning", "adaptation.text='Say why:'", "adaptation.virtual_tokens=12")


class TestPTuning(VirtualTokensContract):
    words = ("adaptation=p_tuning", FEW, "adaptation.encoder=lstm")
