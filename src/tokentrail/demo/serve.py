"""A server to try things on, without a key: the demo's own, until it is interrupted."""

from __future__ import annotations

import sys
import threading

from tokentrail.testing.model import Model
from tokentrail.testing.server import Server


def run(port: int = 0, *, delay: float = 0.03) -> int:
    """Answer as OpenAI and Azure OpenAI do, on 127.0.0.1, until Ctrl-C; return an exit status.

    Args:
        port: Where to listen; 0 takes a free one.
        delay: Seconds before each event of a stream.
    """
    server = Server(Model(delay=delay), port)
    try:
        server.start()
    except OSError as error:
        problem = f"cannot listen on 127.0.0.1:{port}: {error.strerror}; name another port"
        print(f"tokentrail: {problem}", file=sys.stderr)
        return 1
    print(f"export OPENAI_BASE_URL={server.base_url} OPENAI_API_KEY=none", flush=True)
    print("answers like OpenAI until Ctrl-C; any key works", flush=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        server.close()
    return 0
