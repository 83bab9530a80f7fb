"""Responses that come over a WebSocket connection."""
