"""What all calls of an instrumented program share."""
