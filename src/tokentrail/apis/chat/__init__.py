"""Chat completions: requests, answers and streams."""
