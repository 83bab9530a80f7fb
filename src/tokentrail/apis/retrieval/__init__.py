"""Searches of a vector store."""
