"""Vocabulary extension: further tokens are learned from a domain's text and added to those of a model."""
