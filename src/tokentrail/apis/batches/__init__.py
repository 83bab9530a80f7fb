"""The batch API."""
