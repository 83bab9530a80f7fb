"""Why a call has so many tokens: the parts of its input, and what the prompt's cache served.

Only the worker explains. Of what was said it keeps keyed hashes and numbers, never text.
"""
