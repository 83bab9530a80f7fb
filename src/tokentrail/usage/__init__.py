"""Which number of tokens is recorded in the end, and how good it is."""
