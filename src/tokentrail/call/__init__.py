"""One call under way, from its start to its telemetry."""
