"""Filters of text before training: near duplicates, test data, other languages, low quality, personal data."""
