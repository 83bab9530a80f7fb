"""A local server that stands in for OpenAI, for tests, the demo and benchmarks.

:mod:`~tokentrail.testing.server` answers what a script says, :mod:`~tokentrail.testing.payloads`
holds what OpenAI's answers look like, :mod:`~tokentrail.testing.model` behaves like a model.
"""
