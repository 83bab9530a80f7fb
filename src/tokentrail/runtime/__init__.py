"""The state that all calls of an instrumented program share."""
