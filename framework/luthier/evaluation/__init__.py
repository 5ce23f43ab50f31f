"""Evaluation: held-out loss, task metrics and forgetting, each with a bootstrap interval."""
