"""The last words of dead containers: terminationMessagePath and terminationMessagePolicy (kuberuntime_container.go)."""

from __future__ import annotations

from cricket.errors import CricketError
from cricket.kubelet.loop_records import ContainerRecord
from cricket.kubelet.model.container import Container

MOST = 4096
_LOG_LINES, _LOG_BYTES = 80, 2048


def last_words(container: Container, record: ContainerRecord) -> str:
    """What a container wrote for us before it died; "" when it wrote nothing. Blocks shortly."""
    text = _file(record.termination_log)
    if not text and record.exit_code and container.termination_message_policy == "FallbackToLogsOnError":
        text = _log(record.log_path)
    return text


def _file(path: str) -> str:
    if not path:
        return ""
    try:
        with open(path, "rb") as file:
            return file.read(MOST).decode("utf-8", "replace")
    except OSError:
        return ""


def _log(path: str) -> str:
    from cricket.client.logfile import read

    if not path:
        return ""
    try:
        lines = [line.text + (b"" if line.partial else b"\n") for line in read(path, tail=_LOG_LINES)]
    except CricketError:
        return ""
    return b"".join(lines)[-_LOG_BYTES:].decode("utf-8", "replace")
