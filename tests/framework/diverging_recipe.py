"""A contender that fails: a recipe whose learning rate is beyond all reason."""

from __future__ import annotations

DIVERGING = """\
# @package _global_
# A learning rate beyond all reason.   luthier recipe=diverging
defaults:
  - lora_sft
  - override /adaptation: full

optimizer: {lr: 1.0e+30}
trainer: {clip: null}
"""
