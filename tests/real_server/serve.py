"""Serve the tiny model with llama.cpp's own server; print its URL; end with standard input.

A process of its own: a crash stays outside, and a fork in another test copies no thread of it.

    python serve.py (chat | embedding)
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import tiny_model
import xllamacpp

AT_ONCE = 8


def serve(model: Path, task: str) -> None:
    """Serve until standard input is closed, on a free port of 127.0.0.1."""
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(model)
    parameters.model_alias = {"tiny"}
    parameters.n_ctx = AT_ONCE * tiny_model.CONTEXT
    parameters.n_parallel = AT_ONCE
    parameters.n_threads_http = AT_ONCE + 2
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    parameters.sampling.seed = 7
    parameters.warmup = False
    if task == "embedding":
        parameters.embedding = True
        parameters.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    server = xllamacpp.Server(parameters)
    print(server.listening_address, flush=True)  # noqa: T201 - the test reads it
    sys.stdin.read()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "tiny.gguf")
        tiny_model.write(path)
        serve(path, sys.argv[1])
