"""Protocol code without I/O: bytes in, events out; no asyncio, no sockets, no threads.

Both ends of each protocol live here, so that the streaming server and the command line client share them.
"""
