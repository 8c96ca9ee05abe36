"""The HTTP server of exec, attach and port-forward: one-shot URLs, upgrades to SPDY/3.1 or WebSocket, copying."""
