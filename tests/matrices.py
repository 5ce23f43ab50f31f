"""What `make test` leaves to `make test-all`: the repetitions of matrices of which it has carried out one of each kind.

The contract of adaptations is tested whole once for each way in which an adaptation is saved and loaded, and for what
changes what it trains on its way. Of the others
`make test` has what one training shows, and each refusal, which takes no training. Of the pages of the documentation
`make test` runs each kind of command once, and composes the others.
"""

from __future__ import annotations

import pytest

WHOLE = {
    "TestLora": "a PEFT adapter",
    "TestFull": "all weights",
    "TestBitFit": "some of the network's own weights",
    "TestBottleneck": "layers of our own",
    "TestPrefix": "virtual tokens",
    "TestQlora": "an adapter on a quantized base",
    "TestGate": "what an ensemble learns",
    "TestLisa": "layers that change while it trains",
    "TestAdaLora": "ranks that change while it trains",
}
FURTHER_TRAININGS = {  # test of the contract -> what the class `cannot` have where the test sees it refused
    "test_two_of_them_take_turns_on_one_base": "switch",
    "test_every_method_trains_it": "",
    "test_a_resumed_training_is_bit_equal": "",
    "test_bfloat16_computes_nearly_the_same": "bf16",
    "test_it_learns_beside_a_network_in_bfloat16_and_loads_bit_equal": "bf16",
    "test_gradient_checkpointing_changes_no_gradient": "gradient_checkpointing",
    "test_two_ranks_make_one_update": "ddp",
}


CUT_IN_EVERY_WAY = {"Test_kto": "a method that prepares the batches of a step"}
FURTHER_CUTS = ("test_the_update_does_not_depend_on_packing", "test_the_update_does_not_depend_on_ranks")
"""Of the contract of methods; `make test` cuts each method into micro-batches."""

OF_ANY_PART = (
    "test_its_option_file_says_every_setting_and_no_other",
    "test_its_option_file_has_the_defaults_of_its_signature",
    "test_it_says_what_it_is",
    "test_a_recipe_with_it_composes",
    "test_another_setting_is_another_run",
    "test_the_module_of_its_plugin_brings_no_torch",
    "test_what_it_has_become_can_be_given_back",
)
"""Of the contract of parts of any kind; of adaptations and methods `make test` has them for one each."""
ONE_EACH = {"TestLora", "Test_sft"}

CASES = {
    "test_a_run_that_was_killed_keeps_the_same_best": {"there with time to save, and when it is made up for"},
    "test_a_killed_run_continues_bit_equal_packing_and_accumulation_included": {"8"},
    "test_every_method_keeps_its_best": {"grpo"},
    "test_a_batch_of_eight_gives_one_update_however_it_is_cut": {"4 x 2", "two ranks of 4"},
    "test_experts_are_balanced_over_a_step_however_it_is_cut": {"two ranks of 2 x 2"},
    "test_every_shipped_recipe_runs_as_its_tiny_twin": {
        "demo", "full_sft", "zero_shot", "preference", "reward_model", "grpo", "distill", "rag",
    },
    "test_their_own_tests_pass": {"patience_school"},
    "test_losses_are_those_of_a_plain_loop": {"lora", "dora", "oft", "adalora"},
    "test_what_was_trained_is_what_is_loaded": {"full", "lora", "bottleneck"},
    "test_only_what_text_passes_through_is_adapted_and_plain_transformers_loads_it": {
        "gemma3-lora", "llama4-lora", "llava-lora", "mllama-lora", "qwen2_5_vl-lora", "qwen3_vl_moe-lora",
        "qwen2_audio-lora", "gemma4-lora", "gemma4-full0", "gemma4-bottleneck", "gemma4-prefix",
    },
}  # fmt: skip
"""Of a test's matrix the cases that `make test` carries out."""


def is_exhaustive(item: pytest.Item) -> bool:
    """Whether a test repeats for one more adaptation or method what `make test` shows for another of its kind."""
    owner, name = getattr(item, "cls", None), getattr(item, "originalname", item.name)
    if name in CASES:
        return item.callspec.id not in CASES[name]  # type: ignore[attr-defined]
    if name in OF_ANY_PART and hasattr(owner, "cannot"):
        return owner.__name__ not in ONE_EACH
    if name in FURTHER_CUTS:
        return owner is not None and owner.__name__ not in CUT_IN_EVERY_WAY
    if owner is None or not hasattr(owner, "cannot") or owner.__name__ in WHOLE or name not in FURTHER_TRAININGS:
        return False
    return FURTHER_TRAININGS[name] not in owner.cannot
