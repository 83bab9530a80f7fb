"""A demonstration that needs no key and no network, and the server that stands in for OpenAI.

:mod:`~tokentrail.demo.server` answers what a script says, :mod:`~tokentrail.demo.payloads` holds
what OpenAI's answers look like, :mod:`~tokentrail.demo.model` behaves like a model; tests, examples
and benchmarks use them too. :mod:`~tokentrail.demo.run` is the demonstration itself. Importing
this package imports none of them.
"""
