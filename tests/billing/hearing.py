"""A realtime session that hears two people: billed by tokens, and by time.

The client's own types take the events as they are. The numbers are made up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import openai

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.websocket.peer import Peer

BY_TOKENS, BY_TIME = "gpt-4o-mini-transcribe", "whisper-1"
TOKENS = {
    "type": "tokens",
    "input_tokens": 100,
    "input_token_details": {"audio_tokens": 90, "text_tokens": 10},
    "output_tokens": 20,
    "total_tokens": 120,
}
SECONDS = {"type": "duration", "seconds": 90}


def transcribed(usage: dict[str, Any], item: str) -> dict[str, Any]:
    """Return the event by which something is written down; the client's type takes it as it is."""
    from openai.types import realtime

    event = {
        "type": "conversation.item.input_audio_transcription.completed",
        "event_id": f"event_{item}",
        "item_id": item,
        "content_index": 0,
        "transcript": "How old?",
        "usage": usage,
    }
    kind = realtime.ConversationItemInputAudioTranscriptionCompletedEvent
    return kind.model_validate(event).model_dump(mode="json", exclude_unset=True)


def _events() -> Iterator[dict[str, Any]]:
    for model, usage in ((BY_TOKENS, TOKENS), (BY_TIME, SECONDS)):
        heard = {"input": {"transcription": {"model": model}}}
        session = {"type": "realtime", "model": "gpt-realtime", "audio": heard}
        yield {"type": "session.updated", "event_id": f"event_{model}", "session": session}
        yield transcribed(usage, f"item_{model}")


def ears() -> Peer:
    """Return the server of the session, which says the same to each connection."""
    from tests.websocket.peer import Peer  # the oldest openai comes without websockets

    return Peer(greeting=list(_events()))


def hear(peer: Peer) -> None:
    """Have a session hear both; no response is asked for."""
    with (
        openai.OpenAI(
            api_key="no-secret", base_url=peer.base_url, websocket_base_url=peer.websocket_base_url
        ) as client,
        client.realtime.connect(model="gpt-realtime") as connection,
    ):
        for _ in peer.greeting:
            connection.recv()
