"""Responses: requests, answers and streams."""
