"""uvicorn's worker class for gunicorn, that waits for open streams shorter than gunicorn does."""

from __future__ import annotations

from typing import Any, ClassVar

from uvicorn_worker import UvicornWorker


class ImpatientWorker(UvicornWorker):
    """Cancels what is open a second after it was told to stop; then the lifespan shuts down."""

    CONFIG_KWARGS: ClassVar[dict[str, Any]] = {
        **UvicornWorker.CONFIG_KWARGS,
        "timeout_graceful_shutdown": 1,
    }
