"""The realtime API: sessions over a WebSocket, and the responses in them."""
