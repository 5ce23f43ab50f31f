"""Lightning's checkpoints without pickle."""

from __future__ import annotations

import pickle

import pytest
import pytorch_lightning as pl
import torch

from luthier.errors import RecipeError, ResourceError
from luthier.training.checkpoint_io import STATE, TENSORS, SealedCheckpoints
from tests.framework.training.test_plain_state import same


def test_a_whole_checkpoint_of_lightning_comes_back_exactly(tiny, tmp_path):
    kept = {}

    class Keeping(SealedCheckpoints):
        def save_checkpoint(self, checkpoint, path, storage_options=None):
            kept[path] = checkpoint
            super().save_checkpoint(checkpoint, path, storage_options)

    order = tiny.Order(tmp_path / "run", epochs=1)
    net = tiny.Net(order)
    trainer = pl.Trainer(
        max_epochs=1, accelerator="cpu", accumulate_grad_batches=2, plugins=[Keeping()], logger=False,
        callbacks=tiny.Faults(order), enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        limit_val_batches=0, num_sanity_val_steps=0,
    )  # fmt: skip
    trainer.fit(net, tiny.Loader())
    trainer.save_checkpoint(tmp_path / "step-00000006")
    ((path, checkpoint),) = kept.items()
    again = SealedCheckpoints().load_checkpoint(path)
    assert same(again, checkpoint)
    assert {"optimizer_states", "lr_schedulers", "loops", "callbacks", "state_dict"} <= again.keys()
    assert again["loops"]["fit_loop"]["state_dict"]["combined_loader"] == [{"epoch": 0, "position": 11}]
    assert again["optimizer_states"][0]["state"][0]["exp_avg"].abs().sum() > 0


def test_files_are_safetensors_and_json(tmp_path):
    SealedCheckpoints().save_checkpoint({"weights": torch.ones(2), "step": 1}, tmp_path / "step-00000001")
    assert {path.name for path in (tmp_path / "step-00000001").iterdir()} == {TENSORS, STATE, "MANIFEST.json"}


def test_views_of_one_memory_are_saved_each_for_itself(tmp_path):
    whole = torch.arange(6.0)
    state = {"whole": whole, "part": whole[2:4], "turned": whole.view(2, 3).T}
    SealedCheckpoints().save_checkpoint(state, tmp_path / "step-00000001")
    again = SealedCheckpoints().load_checkpoint(tmp_path / "step-00000001")
    assert all(torch.equal(again[name], state[name]) for name in state)


def test_a_pickle_in_a_checkpoint_is_not_opened(tmp_path):
    class Trap:
        def __reduce__(self):
            return (tmp_path.joinpath("ran").touch, ())

    folder = tmp_path / "step-00000001"
    SealedCheckpoints().save_checkpoint({"a": torch.ones(1)}, folder)
    for name in (TENSORS, STATE):
        (folder / name).write_bytes(pickle.dumps(Trap()))
        with pytest.raises(ResourceError):
            SealedCheckpoints().load_checkpoint(folder, weights_only=False)
    torch.save(Trap(), tmp_path / "step-00000002")
    with pytest.raises(ResourceError):
        SealedCheckpoints().load_checkpoint(tmp_path / "step-00000002")
    assert not (tmp_path / "ran").exists()


def test_a_checkpoint_has_a_step_in_its_name(tmp_path):
    with pytest.raises(RecipeError, match=r"last\.ckpt"):
        SealedCheckpoints().save_checkpoint({}, tmp_path / "last.ckpt")


def test_a_full_disk_below_safetensors_is_a_resource_error(tmp_path, monkeypatch):
    from safetensors import SafetensorError

    def full(*_):
        raise SafetensorError(
            'Error while serializing: I/O error: Os { code: 28, kind: StorageFull, message: "No space" }'
        )

    monkeypatch.setattr("luthier.training.checkpoint_io.save_file", full)
    with pytest.raises(ResourceError, match="MB are free"):
        SealedCheckpoints().save_checkpoint({"a": torch.ones(1)}, tmp_path / "step-00000001")
    assert list(tmp_path.iterdir()) == []
