"""Many runs from one command: a process for each, and Optuna to choose them."""
