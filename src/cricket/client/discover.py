"""Which runtime to talk to when the command line does not say: the environment, crictl's file, the node's sockets."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from cricket.client.endpoint import probe
from cricket.client.errors import EndpointError, UnreachableError
from cricket.errors import map_errors

ENDPOINT_VARIABLE = "CONTAINER_RUNTIME_ENDPOINT"
CRICTL_VARIABLE = "CRI_CONFIG_FILE"
CRICTL_FILE = "/etc/crictl.yaml"
DEFAULT_ENDPOINT = "unix:///run/cricket/cricket.sock"
_PATIENCE = 1.0


class Known(NamedTuple):
    """A runtime and where its socket is by default."""

    name: str
    path: str

    @property
    def url(self) -> str:
        """The socket as an endpoint."""
        return f"unix://{self.path}"


KNOWN = (
    Known("cricket", DEFAULT_ENDPOINT.removeprefix("unix://")),
    Known("containerd", "/run/containerd/containerd.sock"),
    Known("CRI-O", "/run/crio/crio.sock"),
    Known("cri-dockerd", "/run/cri-dockerd.sock"),
)


class Choice(NamedTuple):
    """An endpoint and what chose it, in words."""

    url: str
    why: str


def configured(option: str | None, environment: Mapping[str, str]) -> Choice | None:
    """What somebody has said: the option, the environment, crictl's file, in this order. Raises EndpointError when the
    file cannot be read."""
    if option:
        return Choice(option, "--runtime-endpoint")
    if url := environment.get(ENDPOINT_VARIABLE):
        return Choice(url, f"${ENDPOINT_VARIABLE}")
    path = environment.get(CRICTL_VARIABLE) or CRICTL_FILE
    url = _crictl(path)
    return Choice(url, path) if url else None


def discover(known: Sequence[Known] | None = None) -> Choice:
    """The socket that answers; the first one wins over the others, which are only compared among themselves.

    A socket of the first one's that does not answer also ends the search: its daemon is about to come back, and what is
    meant for it must not be done to another runtime. Raises EndpointError when several answer, UnreachableError when
    none does.
    """
    known = KNOWN if known is None else known
    ours, *others = known
    looked = [_look(ours)]
    if looked[0] is None:
        return Choice(ours.url, f"the socket of {ours.name}, which answers")
    if not isinstance(looked[0], FileNotFoundError):
        raise _nobody(known[:1], looked)
    looked += [_look(other) for other in others]
    answering = [other for other, error in zip(known, looked, strict=True) if error is None]
    if len(answering) == 1:
        return Choice(answering[0].url, f"the socket of {answering[0].name}, the only one that answers")
    if answering:
        names = " and ".join(f"{other.name} ({other.url})" for other in answering)
        raise EndpointError(
            f"several runtimes answer: {names}",
            todo=f"choose one with -r URL, ${ENDPOINT_VARIABLE}, or runtime-endpoint in {CRICTL_FILE}",
        )
    raise _nobody(known, looked)


def _look(known: Known) -> Exception | None:
    """Why it does not answer."""
    try:
        probe(known.path, _PATIENCE)
    except UnreachableError as error:
        cause = error.__cause__
        return cause if isinstance(cause, OSError) else error
    return None


def _nobody(known: Sequence[Known], looked: Sequence[Exception | None]) -> UnreachableError:
    said = ", ".join(
        f"{each.url} ({_words(error)})" for each, error in zip(known, looked, strict=True) if error is not None
    )
    denied = any(isinstance(error, PermissionError) for error in looked)
    todo = "be root, or in the group of the socket" if denied else "start one with `cricket serve`, or name one with -r"
    return UnreachableError(f"no runtime answers: looked at {said}", todo=todo)


def _words(error: Exception) -> str:
    return (error.strerror or str(error)).lower() if isinstance(error, OSError) else str(error)


def _crictl(path: str) -> str:
    """`runtime-endpoint` of crictl's configuration; "" when there is none."""
    if not os.path.exists(path):
        return ""
    import yaml

    with (
        map_errors((OSError, UnicodeDecodeError, yaml.YAMLError), EndpointError, "cannot be read", where=path),
        open(path, "rb") as file,
    ):
        content: Any = yaml.safe_load(file)
    url = content.get("runtime-endpoint") if isinstance(content, dict) else None
    if not isinstance(content, dict | None) or not isinstance(url, str | None):
        raise EndpointError("runtime-endpoint should be a text", where=path)
    return url or ""
