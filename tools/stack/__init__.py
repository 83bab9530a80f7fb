"""The stack of examples/observability without containers; see :mod:`stack.__main__`."""
