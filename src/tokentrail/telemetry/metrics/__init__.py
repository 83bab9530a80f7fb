"""A call as metric points."""
