"""Which number of tokens stands in the end, and what it is worth."""
