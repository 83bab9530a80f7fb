"""A local server that stands in for OpenAI, for tests, the demo and benchmarks.

:mod:`~tokentrail.testing.server` answers as a script defines, :mod:`~tokentrail.testing.payloads`
builds bodies like OpenAI's, :mod:`~tokentrail.testing.model` behaves like a model.
"""
