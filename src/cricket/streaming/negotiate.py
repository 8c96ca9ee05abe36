"""Which protocol a request is upgraded to. Pure: request head in, decision or refusal out.

The statuses are those that Kubernetes' own servers give: 400 without upgrade headers, 403 (with the list of accepted
versions) when no version fits, 405 for a wrong method.
"""

from __future__ import annotations

import msgspec

from cricket.types.streams import PortForwardRequest
from cricket.wire.channel_mux import ChannelMux
from cricket.wire.http1 import Fields, Refused, Request
from cricket.wire.mux import Mux, ProtocolViolation
from cricket.wire.remotecommand import (
    PORT_FORWARD,
    PORT_FORWARD_TUNNEL,
    SPDY_DIALECTS,
    WEBSOCKET_DIALECTS,
    WEBSOCKET_PORT_DIALECTS,
    Dialect,
)
from cricket.wire.spdy_session import SpdySession
from cricket.wire.tunnel_mux import TunnelMux
from cricket.wire.websocket import accept_key

_VERSION_FIELD = "x-stream-protocol-version"
_MAX_PORTS = 100


class Upgrade(msgspec.Struct, frozen=True):
    """The decision: the head of the 101 answer, the state machine, and the dialect.

    `fixed` says that the channels are numbered and open from the start (WebSocket); otherwise the client opens streams.
    """

    fields: Fields
    mux: Mux
    dialect: Dialect
    fixed: bool


def check_method(request: Request) -> None:
    """Raises Refused (405) unless the method is GET or POST; to be called before the token is used up."""
    if request.method not in ("GET", "POST"):
        raise Refused(405, f"method {request.method} is not allowed", (("Allow", "GET, POST"),))


def negotiate(request: Request, wanted: object) -> Upgrade:
    """Decide for the exec, attach or port-forward request `wanted`. Raises Refused."""
    ports = wanted.ports if isinstance(wanted, PortForwardRequest) else None
    upgrades = [value.lower() for value in request.values("upgrade")]
    if "upgrade" in (value.lower() for value in request.values("connection")):
        if "websocket" in upgrades:
            return _websocket(request, ports)
        if "spdy/3.1" in upgrades:
            return _spdy(request, ports)
    raise Refused(400, "unable to upgrade: missing upgrade headers in request (Upgrade: SPDY/3.1 or websocket)")


def _spdy(request: Request, ports: tuple[int, ...] | None) -> Upgrade:
    dialects = SPDY_DIALECTS if ports is None else {PORT_FORWARD: Dialect(PORT_FORWARD)}
    offered = request.values(_VERSION_FIELD)
    if not offered:
        raise Refused(400, "unable to upgrade: no protocol in the header X-Stream-Protocol-Version")
    chosen = next((name for name in offered if name in dialects), None)
    if chosen is None:
        accepted = tuple(("X-Accepted-Stream-Protocol-Versions", name) for name in dialects)
        text = (
            f"unable to upgrade: unable to negotiate protocol: client supports {offered}, server accepts {[*dialects]}"
        )
        raise Refused(403, text, accepted)
    fields = (("Connection", "Upgrade"), ("Upgrade", "SPDY/3.1"), ("X-Stream-Protocol-Version", chosen))
    return Upgrade(fields, SpdySession(server=True), dialects[chosen], fixed=False)


def _websocket(request: Request, ports: tuple[int, ...] | None) -> Upgrade:
    if request.method != "GET":
        raise Refused(405, "a WebSocket begins with GET", (("Allow", "GET"),))
    if request.values("sec-websocket-version") != ["13"]:
        raise Refused(
            426, "only WebSocket version 13 is spoken here", (("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"))
        )
    keys = request.values("sec-websocket-key")
    if len(keys) != 1:
        raise Refused(400, "one Sec-WebSocket-Key is needed")
    try:
        accept = accept_key(keys[0])
    except ProtocolViolation as e:
        raise Refused(400, str(e)) from e
    name, mux, dialect, fixed = _websocket_protocol(request.values("sec-websocket-protocol"), ports)
    fields: Fields = (("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accept))
    if name:
        fields = (*fields, ("Sec-WebSocket-Protocol", name))
    return Upgrade(fields, mux, dialect, fixed)


def _websocket_protocol(offered: list[str], ports: tuple[int, ...] | None) -> tuple[str, Mux, Dialect, bool]:
    dialects = WEBSOCKET_DIALECTS if ports is None else WEBSOCKET_PORT_DIALECTS
    for name in offered or [""]:
        if ports is not None and name == PORT_FORWARD_TUNNEL:
            return name, TunnelMux(server=True), Dialect(PORT_FORWARD), False
        if name in dialects:
            count = 5 if ports is None else 2 * len(ports)
            if not 0 < count <= 2 * _MAX_PORTS:
                raise Refused(400, f"port forwarding by channels needs 1 to {_MAX_PORTS} ports in the request")
            return name, ChannelMux(dialects[name], count, server=True), dialects[name], True
    known = [*dialects] if ports is None else [PORT_FORWARD_TUNNEL, *dialects]
    raise Refused(
        403, f"requested protocols {offered} are not supported; the server supports {[n for n in known if n]}"
    )
