"""Embeddings: requests and answers."""
