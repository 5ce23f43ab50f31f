"""What is taken out of text before a model is trained on it."""
