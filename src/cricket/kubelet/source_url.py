"""Manifests from a web server, asked again and again; with If-None-Match, so that what is unchanged costs little."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request

from cricket.kubelet.manifest.desired import Desired, Problem
from cricket.kubelet.manifest.load import load
from cricket.kubelet.source import URL_PERIOD, Offer, keeping

_LIMIT = 10.0
_MOST = 16 << 20


class UrlSource:
    """An HTTP or HTTPS URL, polled every `period` seconds."""

    def __init__(self, url: str, node: str, period: float = URL_PERIOD) -> None:
        self._url, self._node, self._period = url, node, period
        self._tag, self._text = "", b""
        self._before: Desired | None = None

    async def run(self, offer: Offer) -> None:
        """Tell what is wanted, whenever it has changed; never ends."""
        while True:
            desired = await asyncio.to_thread(self.ask)
            if desired is not None:
                offer(self._url, (desired,))
            await asyncio.sleep(self._period)

    def ask(self) -> Desired | None:
        """What the server says now; None when that is what it said before."""
        request = urllib.request.Request(self._url, headers={"If-None-Match": self._tag} if self._tag else {})
        try:
            with urllib.request.urlopen(request, timeout=_LIMIT) as answer:
                text, tag = answer.read(_MOST), answer.headers.get("ETag", "")
        except urllib.error.HTTPError as error:
            if error.code == 304:
                return None
            return self._failed(f"the server answers {error.code}")
        except OSError as error:
            return self._failed(f"cannot be read: {getattr(error, 'reason', error)}")
        if text == self._text and self._before is not None and not self._before.errors:
            return None
        self._tag, self._text = tag, text
        self._before = keeping(load(text, self._url, self._node), self._before)
        return self._before

    def _failed(self, why: str) -> Desired | None:
        desired = Desired(self._url, errors=(Problem(self._url, 0, "", why),))
        told, self._before = self._before, keeping(desired, self._before)
        return self._before if told is None or told.errors != self._before.errors else None
