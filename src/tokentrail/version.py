"""The version of tokentrail, stated once."""

__version__ = "0.1.0"
