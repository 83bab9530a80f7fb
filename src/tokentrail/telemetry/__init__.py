"""A call as spans, metrics and log events."""
