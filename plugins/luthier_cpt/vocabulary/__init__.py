"""Tokens for a domain's own words: learned from its text, added behind those that a model has."""
