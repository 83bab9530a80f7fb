"""One call, from its start until its telemetry is recorded.

The lazy names below are imported on first use: only some calls need them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokentrail.call.live_usage import LiveUsage
    from tokentrail.call.price import price_of
    from tokentrail.call.redaction import redacted_content
    from tokentrail.call.refinement import explain, put_right
    from tokentrail.call.usage_counter import UsageCounter
    from tokentrail.call.verification import verification_of
else:
    from tokentrail.support.lazy import lazy_names

    __getattr__ = lazy_names(
        __name__,
        {
            "call.live_usage": "LiveUsage",
            "call.price": "price_of",
            "call.redaction": "redacted_content",
            "call.refinement": "explain put_right",
            "call.usage_counter": "UsageCounter",
            "call.verification": "verification_of",
        },
    )

__all__ = [
    "LiveUsage",
    "UsageCounter",
    "explain",
    "price_of",
    "put_right",
    "redacted_content",
    "verification_of",
]
