"""Errors: error bodies, and errors in the middle of a stream."""

from __future__ import annotations

from tokentrail.testing.replies import Event, JsonObject, Plain


def reply(
    status: int, message: str, *, kind: str = "invalid_request_error", code: str | None = None
) -> Plain:
    """Return an error in OpenAI's format."""
    return Plain(_body(message, kind, code), status)


def model_not_found(model: str) -> Plain:
    """Return 404 for a model that does not exist."""
    message = f"The model `{model}` does not exist or you do not have access to it."
    return reply(404, message, code="model_not_found")


def deployment_not_found() -> Plain:
    """Return Azure's 404 for a deployment that does not exist."""
    message = "The API deployment for this resource does not exist."
    return Plain({"error": {"code": "DeploymentNotFound", "message": message}}, 404)


def wrong_key(key: str) -> Plain:
    """Return 401, with the key masked as OpenAI masks it."""
    shown = f"{key[:4]}{'*' * max(0, len(key) - 8)}{key[-4:]}" if key[8:] else "****"
    message = (
        f"Incorrect API key provided: {shown}. You can find your API key at "
        "https://platform.openai.com/account/api-keys."
    )
    return reply(401, message, code="invalid_api_key")


def event(
    message: str = "The server had an error while processing your request.",
    *,
    kind: str = "server_error",
    code: str | None = None,
) -> Event:
    """Return an error in the middle of a stream: the client raises ``APIError`` there."""
    return Event(_body(message, kind, code))


def _body(message: str, kind: str, code: str | None) -> JsonObject:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}
