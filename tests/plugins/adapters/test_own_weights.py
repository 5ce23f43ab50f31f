"""Adaptations that move weights which the network has already keep to the contract."""

from __future__ import annotations

from luthier.testing.adaptation import AdaptationContract


class TestFull(AdaptationContract):
    words = ("adaptation=full",)
    cannot = frozenset({"plain_peft", "switch"})


class TestFreeze(AdaptationContract):
    words = (
        "adaptation=freeze",
        "adaptation.last=1",
        "adaptation.also=['*norm*']",
        "adaptation.never=['*layers.1.mlp*']",
    )
    cannot = frozenset({"plain_peft", "switch"})


class TestBitFit(AdaptationContract):
    words = ("adaptation=bitfit", "adaptation.norms=true", "+model.config.attention_bias=true")
    cannot = frozenset({"plain_peft", "switch"})


class TestEmbeddingRate(AdaptationContract):
    words = ("adaptation=embedding_rate",)
    cannot = frozenset({"plain_peft", "switch"})


class TestLisa(AdaptationContract):
    words = ("adaptation=lisa", "adaptation.layers=1", "adaptation.every=3")
    cannot = frozenset({"plain_peft", "switch"})
    together = ("trainer.strategy.find_unused=true",)
