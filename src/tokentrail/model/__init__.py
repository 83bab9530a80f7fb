"""Plain records of one call, from request to outcome."""
