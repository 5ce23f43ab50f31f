"""State as JSON and tensors, and back, exactly."""

from __future__ import annotations

import json
import math
import random
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as any_of

from luthier.training.plain_state import dismantle, rebuild


def there_and_back(state):
    value, tensors = dismantle(state)
    return rebuild(json.loads(json.dumps(value, allow_nan=False)), tensors)


def same(one, other) -> bool:
    """Equal in type and value all the way down; NaN is NaN of any sign, and 0.0 is not -0.0."""
    if type(one) is not type(other):
        return False
    if isinstance(one, torch.Tensor):
        return (
            one.dtype == other.dtype and one.shape == other.shape and one.numpy().tobytes() == other.numpy().tobytes()
        )
    if isinstance(one, np.ndarray | np.generic):
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    if isinstance(one, dict):
        return same(list(one), list(other)) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float):
        if math.isnan(one) or math.isnan(other):
            return math.isnan(one) and math.isnan(other)
        return one == other and math.copysign(1, one) == math.copysign(1, other)
    return one == other


plain = any_of.none() | any_of.booleans() | any_of.integers() | any_of.floats() | any_of.text() | any_of.binary()
keys = any_of.text() | any_of.integers() | any_of.booleans() | any_of.tuples(any_of.integers())
nested = any_of.recursive(
    plain,
    lambda inner: any_of.lists(inner) | any_of.dictionaries(keys, inner) | any_of.lists(inner).map(tuple),
    max_leaves=20,
)


@given(nested)
@example(-math.nan)
def test_any_plain_state_comes_back_as_it_was(state):
    assert same(there_and_back(state), state)


@pytest.mark.parametrize(
    "state",
    [
        {"!tensor": "a key that looks like a form", "!": 1},
        {0: {"exp_avg": torch.randn(3, 2), "step": torch.tensor(4.0)}, 1: {}},
        OrderedDict(b=torch.zeros(0, 3), a=torch.ones((), dtype=torch.bfloat16).float()),
        {"bits": torch.randint(0, 255, (7,), dtype=torch.uint8), "flags": torch.tensor([True, False])},
        [np.arange(3, dtype=np.uint32), np.float32(0.1), np.int64(-1), np.array(2.0), np.bool_(True)],
        (torch.Size([1, 2]), torch.float16, torch.device("cpu"), {1, 2}, frozenset({"a"})),
        random.getstate(),
        np.random.get_state(),
        [math.inf, -math.inf, math.nan, -0.0, 1e-320, 2**70],
    ],
)
def test_the_forms_of_optimizers_schedulers_and_generators_come_back(state):
    assert same(there_and_back(state), state)


def test_versions_that_torch_keeps_beside_a_state_dict_come_back():
    state = torch.nn.Sequential(torch.nn.BatchNorm1d(2)).state_dict()
    assert there_and_back(state)._metadata == state._metadata


def test_tied_weights_are_stored_once_and_stay_tied():
    weight = torch.randn(4, 4)
    value, tensors = dismantle({"words": weight, "head": weight, "other": weight.clone()})
    assert len(tensors) == 2
    again = rebuild(value, tensors)
    assert again["words"].data_ptr() == again["head"].data_ptr() != again["other"].data_ptr()


@pytest.mark.parametrize("foreign", [object(), Path("x"), math.sqrt, torch.nn.Linear(1, 1), 1j, Exception])
def test_what_would_need_pickle_is_refused_with_its_place(foreign):
    with pytest.raises(TypeError, match=r"callbacks/mine/3 is a .*without pickle"):
        dismantle({"callbacks": {"mine": [1, 2, 3, foreign]}})


@pytest.mark.parametrize("json", [{"!call": ["os.system", "x"]}, {"!dtype": "load"}, {"!tuple": [], "more": 1}])
def test_a_form_that_is_never_written_is_not_read(json):
    with pytest.raises(ValueError, match="is no"):
        rebuild(json, {})
