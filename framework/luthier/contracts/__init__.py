"""The types between the rooms: examples, rows, batches, losses, scores, and the protocol of each kind of part.

A recipe answers nine questions; each answer is a part. Positional parameters of a part's constructor are other parts,
handed over by the assembly; keyword-only parameters are settings, written in the recipe.
"""
