"""The remote command protocols of Kubernetes: names, channels, the exit status and the terminal size.

Sources: k8s.io/apimachinery `pkg/util/remotecommand`, k8s.io/cri-streaming `pkg/streaming/remotecommand`,
k8s.io/client-go `tools/remotecommand` (what each version may expect is written down in docs/rooms/wire.md).
"""

from __future__ import annotations

import msgspec

from cricket.errors import Internal

STDIN, STDOUT, STDERR, ERROR, RESIZE = range(5)
CLOSE_SIGNAL = 255
TYPES = {"stdin": STDIN, "stdout": STDOUT, "stderr": STDERR, "error": ERROR, "resize": RESIZE}

PORT_FORWARD = "portforward.k8s.io"
TUNNEL_PREFIX = "SPDY/3.1+"
PORT_FORWARD_TUNNEL = TUNNEL_PREFIX + PORT_FORWARD


class Dialect(msgspec.Struct, frozen=True):
    """What a protocol version can do. `half_close`: the close signal; over SPDY every version can half-close.

    `tells_exit`: clients of SPDY version 1 drop output that they have not read yet as soon as they hear of an error;
    so, as from Kubernetes' own servers, they never hear of an exit code.
    """

    name: str
    json_status: bool = False
    resize: bool = False
    half_close: bool = False
    base64: bool = False
    tells_exit: bool = True


SPDY_DIALECTS = {
    d.name: d
    for d in (
        Dialect("v4.channel.k8s.io", json_status=True, resize=True),
        Dialect("v3.channel.k8s.io", resize=True),
        Dialect("v2.channel.k8s.io"),
        Dialect("channel.k8s.io", tells_exit=False),
    )
}
WEBSOCKET_DIALECTS = {
    d.name: d
    for d in (
        Dialect("v5.channel.k8s.io", json_status=True, resize=True, half_close=True),
        Dialect("v4.channel.k8s.io", json_status=True, resize=True),
        Dialect("v4.base64.channel.k8s.io", json_status=True, resize=True, base64=True),
        Dialect("channel.k8s.io", resize=True),
        Dialect("base64.channel.k8s.io", resize=True, base64=True),
        Dialect("", resize=True),
    )
}
WEBSOCKET_PORT_DIALECTS = {
    d.name: d for d in (Dialect("v4.channel.k8s.io"), Dialect("v4.base64.channel.k8s.io", base64=True), Dialect(""))
}


class _Cause(msgspec.Struct, omit_defaults=True):
    reason: str = ""
    message: str = ""


class _Details(msgspec.Struct, omit_defaults=True):
    causes: list[_Cause] = []


class _Status(msgspec.Struct, omit_defaults=True):
    """metav1.Status, as far as it is used here."""

    metadata: dict[str, object] = {}
    status: str = ""
    message: str = ""
    reason: str = ""
    details: _Details | None = None
    code: int = 0


def encode_exit(code: int, dialect: Dialect) -> bytes:
    """What the error channel says of an exit code; b"" when this version says nothing of it."""
    if not dialect.tells_exit:
        return b""
    if code == 0:
        return msgspec.json.encode(_Status(status="Success")) if dialect.json_status else b""
    text = f"command terminated with non-zero exit code: {code}"
    if not dialect.json_status:
        return text.encode()
    details = _Details([_Cause("ExitCode", str(min(code, 255)))])
    return msgspec.json.encode(_Status(status="Failure", message=text, reason="NonZeroExitCode", details=details))


def encode_failure(message: str, dialect: Dialect) -> bytes:
    """What the error channel says when the command could not run."""
    if not dialect.json_status:
        return message.encode()
    text = f"Internal error occurred: {message}"
    return msgspec.json.encode(_Status(status="Failure", message=text, reason="InternalError", code=500))


def decode_status(data: bytes, dialect: Dialect) -> int:
    """The exit code that the error channel tells. Internal with the server's message when the command did not run.

    Versions before 4 tell exit codes only in words, so any failure is Internal.
    """
    if not data:
        return 0
    if not dialect.json_status:
        raise Internal(data.decode("utf-8", "replace"))
    try:
        status = msgspec.json.decode(data, type=_Status)
    except msgspec.MsgspecError as e:
        raise Internal("the server's exit status is not a Status", where=data[:200].decode("utf-8", "replace")) from e
    if status.status == "Success":
        return 0
    causes = status.details.causes if status.details else []
    for cause in causes:
        if cause.reason == "ExitCode" and cause.message.isascii() and cause.message.isdigit():
            return int(cause.message)
    raise Internal(status.message or "the server told of a failure without a reason")


def encode_size(width: int, height: int) -> bytes:
    """One terminal size for the resize channel."""
    return b'{"Width":%d,"Height":%d}\n' % (width, height)


class SizeDecoder:
    """Reads terminal sizes from the resize channel, cut anywhere; the first that makes no sense ends it."""

    _LIMIT = 1024

    def __init__(self) -> None:
        self._buffer = b""
        self._broken = False

    def feed(self, data: bytes) -> list[tuple[int, int]]:
        """(width, height) in characters for each complete object."""
        if self._broken:
            return []
        self._buffer += data
        sizes = []
        while not self._broken and b"}" in self._buffer:
            text, _, self._buffer = self._buffer.partition(b"}")
            size = _size(text + b"}")
            if size is None:
                self._broken = True
            else:
                sizes.append(size)
        if self._broken or len(self._buffer) > self._LIMIT:
            self._broken, self._buffer = True, b""
        return sizes


def _size(text: bytes) -> tuple[int, int] | None:
    try:
        members = msgspec.json.decode(text, type=dict[str, int])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    lowered = {name.lower(): value for name, value in members.items()}
    width, height = lowered.get("width", 0), lowered.get("height", 0)
    return (width, height) if 0 <= width < 1 << 16 and 0 <= height < 1 << 16 else None
