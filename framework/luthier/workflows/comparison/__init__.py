"""`luthier compare`: recipes side by side on one evaluation and one budget, each figure with the run behind it."""
