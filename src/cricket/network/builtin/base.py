"""What a built-in plugin is, and what it is told about one call.

A built-in is the same as the executable of that name: the same configuration, effects, files on disk and result, so
that either may undo what the other did. Its methods run in a thread of their own in the host's network namespace
(`kernel.netns_thread.visit` goes elsewhere) and may block.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Protocol

import msgspec

from cricket.network.attachment import Attachment
from cricket.network.result import Json

# Error codes of the specification ("Well-known error codes") and of the standard plugins.
BAD_ENVIRONMENT, BAD_CONFIG, TRY_AGAIN, FAILED = 4, 7, 11, 999


class Refused(Exception):
    """A built-in cannot do what it is asked; the caller makes a PluginFailed of it."""

    def __init__(self, msg: str, details: str = "", *, code: int = FAILED) -> None:
        super().__init__(msg)
        self.msg, self.details, self.code = msg, details, code


class Ipam(Protocol):
    """The IPAM plugin that a configuration names, wherever it runs. Methods block and raise Refused or CricketError."""

    @abc.abstractmethod
    def add(self) -> Json:
        """Reserve addresses; returns the result in the shape of 1.1.0."""

    @abc.abstractmethod
    def delete(self) -> None:
        """Release what `add` reserved. Idempotent."""

    @abc.abstractmethod
    def check(self) -> None:
        """Raises when the reservation is gone."""


class Call(msgspec.Struct, frozen=True):
    """One call: the derived request configuration as a plugin gets it on standard input, and the attachment.

    `ipam` is None when the configuration names none.
    """

    conf: Json
    attachment: Attachment
    ipam: Ipam | None = None

    @property
    def network(self) -> str:
        """The network's name."""
        return str(self.conf.get("name", ""))

    @property
    def previous(self) -> Json | None:
        """The previous result of the chain (ADD), or the whole chain's (CHECK, DEL)."""
        found = self.conf.get("prevResult")
        return found if isinstance(found, dict) else None

    def arg(self, name: str) -> str:
        """A value of CNI_ARGS, "" when it is not there."""
        return next((v for k, v in self.attachment.args if k == name), "")

    def runtime(self, capability: str) -> object:
        """A value of runtimeConfig, None when it is not there."""
        found = self.conf.get("runtimeConfig")
        return found.get(capability) if isinstance(found, dict) else None


class Builtin(abc.ABC):
    """A plugin in this process. Each module named in `choose.MODULES` has one, as `PLUGIN`.

    `anonymous`: told the same configuration, it does the same for any two pods. It reads none of the CNI_ARGS that name
    the pod (K8S_*), and uses the container's id only to name and find what it made. See network/warm.py.
    """

    anonymous = False

    @abc.abstractmethod
    def understands(self, conf: Mapping[str, object]) -> bool:
        """Whether every key of the configuration is known here and its value is of the right kind; cheap.

        `conf` is an entry of `plugins`, or such a request as a plugin gets. When this is False the executable runs.
        """

    def idle(self, command: str, call: Call) -> bool:
        """Whether there is nothing to do: ADD then passes `prevResult` on. Called on the event loop."""
        return False

    @abc.abstractmethod
    def add(self, call: Call) -> Json:
        """ADD; returns a result whose `cniVersion` names its shape. Raises Refused or CricketError."""

    @abc.abstractmethod
    def delete(self, call: Call) -> None:
        """DEL. Idempotent; `call.attachment.netns` is "" when the namespace is gone."""

    @abc.abstractmethod
    def check(self, call: Call) -> None:
        """CHECK. Raises Refused for what is not as ADD made it."""

    def collect(self, call: Call) -> None:  # noqa: B027 - most keep nothing that could be left
        """GC: take away what belongs to none of `cni.dev/valid-attachments`; `call.attachment` is empty."""
