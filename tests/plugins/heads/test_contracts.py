"""The parts of luthier_heads pass the suites that strangers inherit."""

from __future__ import annotations

import pytest

from luthier.testing.method import MethodContract


class TestClassifyAnEncoder(MethodContract):
    answer, words = "method=classify", ("model=tiny_encoder",)


@pytest.mark.exhaustive
class TestFocal(MethodContract):
    answer = "method=classify"
    words = ("model=tiny_encoder", "method/objective=focal_loss", "method.objective.class_weights=balanced")


class TestTag(MethodContract):
    answer, words = "method=tag", ("model=tiny_encoder",)


class TestMaskedLanguageModeling(MethodContract):
    answer, words = "method=mlm", ("model=tiny_encoder", "method.units=whole_words")
