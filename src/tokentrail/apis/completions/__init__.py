"""Completions: requests, answers and streams."""
