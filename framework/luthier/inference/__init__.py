"""Asking a network: generation, log-probabilities, reward scores, embeddings, BM25."""
