"""Pre-installed plugins: executables named NN-name in a directory, started by the daemon with a connected socket."""

from __future__ import annotations

import logging
import os
import socket

import msgspec

from cricket.errors import CricketError, Internal, InvalidArgument, map_errors
from cricket.kernel.process import Child, spawn
from cricket.nri.names import parse_name

log = logging.getLogger(__name__)

_FD = 3
_WASM = b"\0asm"


class Preinstalled(msgspec.Struct, frozen=True):
    """A plugin's file and the content of its configuration ("" when it has none)."""

    path: str
    index: str
    base: str
    config: str = ""


def discover(plugin_path: str, config_path: str) -> list[Preinstalled]:
    """The executables in `plugin_path` in the order of their names; a missing directory has none.

    A file whose name is not NN-name, or that is a WebAssembly module, is logged and passed over, so that one bad file
    does not keep the other plugins away. Raises Internal when the directory or a configuration cannot be read. Blocks.
    """
    found = []
    with map_errors(OSError, Internal, "cannot list NRI plugins", where=plugin_path):
        names = sorted(os.listdir(plugin_path)) if os.path.isdir(plugin_path) else []
    for name in names:
        path = os.path.join(plugin_path, name)
        if not os.path.isfile(path) or not os.access(path, os.X_OK):
            continue
        try:
            index, base = parse_name(name)
            _refuse_wasm(path)
        except CricketError as e:
            log.warning("NRI plugin %s is passed over: %s", path, e)
            continue
        found.append(Preinstalled(path, index, base, _config(config_path, name, base)))
    return found


def _refuse_wasm(path: str) -> None:
    with map_errors(OSError, Internal, "cannot read the plugin", where=path), open(path, "rb") as f:
        if f.read(len(_WASM)) == _WASM:
            raise InvalidArgument("WebAssembly plugins are not supported", where=path)


def _config(directory: str, name: str, base: str) -> str:
    """NN-name.conf, or else name.conf."""
    for candidate in (f"{name}.conf", f"{base}.conf"):
        path = os.path.join(directory, candidate)
        with map_errors((OSError, ValueError), Internal, "cannot read a plugin's configuration", where=path):
            try:
                with open(path, encoding="utf-8") as f:
                    return f.read()
            except FileNotFoundError:
                continue
    return ""


def launch(plugin: Preinstalled) -> tuple[Child, socket.socket]:
    """Start the plugin; returns its process and our end of its connection. Raises Internal."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    env = {
        "NRI_PLUGIN_NAME": plugin.base,
        "NRI_PLUGIN_IDX": plugin.index,
        "NRI_PLUGIN_SOCKET": str(_FD),
        "PATH": os.environ.get("PATH", os.defpath),
    }
    try:
        child = spawn([plugin.path], env=env, fds={_FD: theirs.fileno()})
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    ours.setblocking(False)
    return child, ours
