"""How do we know that it is better? Held-out loss, task metrics and forgetting, each with its bootstrap interval."""
