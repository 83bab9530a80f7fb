"""Answers of the Responses API, which clients before 1.66 do not have."""

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("openai.types.responses") else ["test_*.py"]
