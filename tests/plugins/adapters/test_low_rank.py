"""Every adaptation of the low-rank family, and those like it, keeps to the contract of adaptations."""

from __future__ import annotations

from luthier.testing.adaptation import AdaptationContract


class TestLora(AdaptationContract):
    words = ("adaptation=lora", "adaptation.rank=4")


class TestDora(AdaptationContract):
    words = ("adaptation=dora", "adaptation.rank=4")


class TestRslora(AdaptationContract):
    words = ("adaptation=rslora", "adaptation.rank=8")


class TestLoraPlus(AdaptationContract):
    words = ("adaptation=lora_plus", "adaptation.rank=4", "adaptation.ratio=4")


class TestPissa(AdaptationContract):
    words = ("adaptation=pissa", "adaptation.rank=4")
    cannot = frozenset({"switch"})


class TestPissaDecomposedExactly(AdaptationContract):
    words = ("adaptation=pissa", "adaptation.rank=4", "adaptation.iterations=null", "adaptation.rslora=true")
    cannot = frozenset({"switch"})


class TestOlora(AdaptationContract):
    words = ("adaptation=olora", "adaptation.rank=4")
    cannot = frozenset({"switch"})


class TestEva(AdaptationContract):
    words = ("adaptation=eva", "adaptation.rank=4", "adaptation.batches=4")


class TestVera(AdaptationContract):
    words = ("adaptation=vera", "adaptation.rank=16")


class TestAdaLora(AdaptationContract):
    words = ("adaptation=adalora", "adaptation.rank=6", "adaptation.target=3")


class TestLoHa(AdaptationContract):
    words = ("adaptation=loha", "adaptation.rank=2")


class TestLoKr(AdaptationContract):
    words = ("adaptation=lokr", "adaptation.rank=4")


class TestOft(AdaptationContract):
    words = ("adaptation=oft", "adaptation.block=8")


class TestBoft(AdaptationContract):
    words = ("adaptation=boft",)
