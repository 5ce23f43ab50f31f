"""The low-rank family keeps to the contract of adaptations."""

from __future__ import annotations

from luthier.testing.adaptation import AdaptationContract


class TestLora(AdaptationContract):
    words = ("adaptation=lora", "adaptation.rank=4")


class TestFull(AdaptationContract):
    words = ("adaptation=full",)
    cannot = frozenset({"plain_peft", "switch"})
