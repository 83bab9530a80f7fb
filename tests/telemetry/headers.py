"""What a server of OpenAI says in its headers, and what a client shows of it."""

from __future__ import annotations

import openai

HEADERS = {
    "X-Request-Id": "req_70ke27a11",
    "x-ratelimit-limit-requests": "10000",
    "x-ratelimit-limit-tokens": "2000000",
    "x-ratelimit-remaining-requests": "9999",
    "x-ratelimit-remaining-tokens": "1999987",
    "x-ratelimit-reset-requests": "6ms",
    "x-ratelimit-reset-tokens": "6m0.5s",
}
ID = {"tokentrail.request_id": "req_70ke27a11"}
LIMITS = {
    "tokentrail.rate_limit.requests.limit": 10000,
    "tokentrail.rate_limit.requests.remaining": 9999,
    "tokentrail.rate_limit.requests.reset": 0.006,
    "tokentrail.rate_limit.tokens.limit": 2000000,
    "tokentrail.rate_limit.tokens.remaining": 1999987,
    "tokentrail.rate_limit.tokens.reset": 360.5,
}
IS_OLD = tuple(map(int, openai.__version__.split(".")[:2])) < (1, 60)
"""The client neither says which try a request is nor writes the request id on an answer: 1.40."""
RETRIES = {} if IS_OLD else {"tokentrail.retries": 0}
ALL = {**ID, **LIMITS, **RETRIES}
"""What a span tells of a call that was answered at the first try."""
