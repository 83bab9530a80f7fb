"""Why a call has so many tokens: the parts of its input, and what the prompt cache served.

Only the worker does this. It keeps keyed hashes and numbers of the content, never text.
"""
