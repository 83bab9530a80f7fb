"""A demonstration that needs no key and no network: :mod:`~tokentrail.demo.run` runs it.

The server that it calls is that of :mod:`tokentrail.testing`. Importing this package imports
neither.
"""
