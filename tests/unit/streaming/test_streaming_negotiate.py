from __future__ import annotations

import pytest

from cricket.streaming.negotiate import Upgrade, check_method, negotiate
from cricket.types.streams import ExecRequest, PortForwardRequest
from cricket.wire.http1 import Refused, Request

EXEC = ExecRequest("c", ("true",))
KEY = ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
WS = (("connection", "keep-alive, Upgrade"), ("upgrade", "WebSocket"), ("sec-websocket-version", "13"), KEY)
SPDY = (("connection", "upgrade"), ("upgrade", "SPDY/3.1"))


def spdy(*offered: str, wanted: object = EXEC) -> Upgrade:
    fields = (*SPDY, *(("x-stream-protocol-version", name) for name in offered))
    return negotiate(Request("POST", "/", fields), wanted)


def websocket(*offered: str, wanted: object = EXEC) -> Upgrade:
    fields = (*WS, *(("sec-websocket-protocol", name) for name in offered))
    return negotiate(Request("GET", "/", fields), wanted)


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (["v5.channel.k8s.io", "v4.channel.k8s.io", "v3.channel.k8s.io"], "v4.channel.k8s.io"),
        (["channel.k8s.io", "v4.channel.k8s.io"], "channel.k8s.io"),
        (["nonsense, v2.channel.k8s.io"], "v2.channel.k8s.io"),
    ],
)
def test_spdy_takes_the_first_that_it_knows(offered: list[str], chosen: str) -> None:
    upgrade = spdy(*offered)
    assert (upgrade.dialect.name, upgrade.fixed) == (chosen, False)
    assert ("X-Stream-Protocol-Version", chosen) in upgrade.fields
    assert ("Upgrade", "SPDY/3.1") in upgrade.fields


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (["v5.channel.k8s.io"], "v5.channel.k8s.io"),
        (["v4.base64.channel.k8s.io, v4.channel.k8s.io"], "v4.base64.channel.k8s.io"),
        (["base64.channel.k8s.io"], "base64.channel.k8s.io"),
        ([], ""),
    ],
)
def test_websocket(offered: list[str], chosen: str) -> None:
    upgrade = websocket(*offered)
    assert (upgrade.dialect.name, upgrade.fixed) == (chosen, True)
    assert (("Sec-WebSocket-Protocol", chosen) in upgrade.fields) == bool(chosen)
    assert ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") in upgrade.fields


def test_port_forward_in_its_three_forms() -> None:
    wanted = PortForwardRequest("s", (80, 81))
    assert not spdy("portforward.k8s.io", wanted=wanted).fixed
    assert not websocket("SPDY/3.1+portforward.k8s.io", wanted=PortForwardRequest("s")).fixed
    assert websocket("v4.channel.k8s.io", wanted=wanted).fixed
    assert websocket(wanted=wanted).fixed


def refused(status: int, request: Request, wanted: object = EXEC) -> Refused:
    with pytest.raises(Refused) as caught:
        negotiate(request, wanted)
    assert caught.value.status == status
    return caught.value


def test_no_version_in_common_is_forbidden_and_the_list_is_told() -> None:
    fields = (*SPDY, ("x-stream-protocol-version", "v9.channel.k8s.io"))
    error = refused(403, Request("POST", "/", fields))
    assert "unable to negotiate protocol" in error.what
    assert error.fields[0] == ("X-Accepted-Stream-Protocol-Versions", "v4.channel.k8s.io")
    assert len(error.fields) == 4
    with pytest.raises(Refused) as caught:
        websocket("v9.channel.k8s.io")
    assert caught.value.status == 403


def test_refusals() -> None:
    refused(400, Request("GET", "/", ()))
    refused(400, Request("GET", "/", (("upgrade", "SPDY/3.1"),)))
    refused(400, Request("GET", "/", (("connection", "upgrade"), ("upgrade", "h2c"))))
    refused(400, Request("POST", "/", SPDY))
    refused(405, Request("POST", "/", WS))
    refused(426, Request("GET", "/", (*WS[:2], ("sec-websocket-version", "8"), KEY)))
    refused(400, Request("GET", "/", WS[:3]))
    refused(400, Request("GET", "/", (*WS[:3], ("sec-websocket-key", "x"))))
    fields = (*WS, ("sec-websocket-protocol", "v4.channel.k8s.io"))
    refused(400, Request("GET", "/", fields), PortForwardRequest("s"))
    refused(400, Request("GET", "/", fields), PortForwardRequest("s", tuple(range(1, 200))))


def test_methods() -> None:
    for method in ("GET", "POST"):
        check_method(Request(method, "/", ()))
    with pytest.raises(Refused) as caught:
        check_method(Request("PUT", "/", ()))
    assert (caught.value.status, caught.value.fields) == (405, (("Allow", "GET, POST"),))
