"""Students pruned from models that read images: the text tower loses layers, the other towers stay."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from luthier.errors import RecipeError
from luthier.models.folder import Folder
from luthier.models.loading import decoder_layers
from luthier_distillation.layers import Evenly
from luthier_distillation.pruned import KeptParts, Pruned
from luthier_distillation.width import ByActivation
from tests.framework.multimodal.families import save

UNUSED = ByActivation(corpus=None)


def test_layers_of_the_text_tower_go_and_the_student_is_saved_as_it_is(tmp_path: Path) -> None:
    base = Folder(path=str(save("gemma3", tmp_path / "base")))
    student = Pruned(base=base, layers=Evenly(), importance=UNUSED, keep=1)
    network = student.network()
    assert len(decoder_layers(network)) == 1
    network.save_pretrained(tmp_path / "student")
    loaded = Folder(path=str(tmp_path / "student")).network()
    ids = torch.arange(10, 20)[None]
    torch.testing.assert_close(loaded(input_ids=ids).logits, network(input_ids=ids).logits)
    assert len(loaded.model.vision_tower.encoder.layers) == 2
    assert [file.name for file in student.processor_files()] == ["processor_config.json", "preprocessor_config.json"]


def test_heads_are_not_pruned_where_their_width_would_change(tmp_path: Path) -> None:
    base = Folder(path=str(save("qwen2_vl", tmp_path / "base")))
    student = Pruned(base=base, layers=Evenly(), importance=UNUSED, keep=1)
    student._restored = KeptParts([0], [[0]], None)  # one group of heads, without measuring which
    with pytest.raises(RecipeError, match="derives the width of a head from its number of heads"):
        student.network()
