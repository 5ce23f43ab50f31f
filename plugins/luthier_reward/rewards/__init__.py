"""Rewards: one file for each, none of which imports torch unless it is a model's word."""
