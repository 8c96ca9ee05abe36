"""What every topic of the servicers has at hand."""

from __future__ import annotations

from cricket.cri.engine import Engine, Streams
from cricket.cri.views import Views


class Servicer:
    """The engine, the streaming server's URLs and the views. Methods are named as the RPCs are.

    A READ method (see methods.py) is a plain function, WAIT and VERB methods are coroutines, STREAM ones async
    generators. They return or yield a message, or bytes that are one already.
    """

    def __init__(self, engine: Engine, streams: Streams, views: Views) -> None:
        self.engine, self.streams, self.views = engine, streams, views
