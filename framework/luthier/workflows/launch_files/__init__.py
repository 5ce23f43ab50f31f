"""Job files of clusters for a recipe."""
