"""Nothing to hook into: the recipes of this folder are found by their place. Imports no torch."""
