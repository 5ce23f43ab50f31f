"""Ensembles of whole answers, whose members may read text as other tokens."""
