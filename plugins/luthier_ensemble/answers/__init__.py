"""Ensembles of whole answers, whose members may have other vocabularies."""
