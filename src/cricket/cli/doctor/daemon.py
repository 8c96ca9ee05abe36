"""The daemon: does somebody answer, is it ready, is it the version that this command is."""

from __future__ import annotations

from cricket import __version__
from cricket.cli.doctor.finding import Findings, Unseen, error, info, ok, warning
from cricket.cli.doctor.host import Host
from cricket.cli.doctor.others import listening

# Other conditions are between a runtime and its administrator.
_LOOKED_AT = ("RuntimeReady", "NetworkReady")


def answers(host: Host) -> Findings:
    """Somebody listens at the endpoint."""
    runtime, path = host.runtime, host.socket
    if runtime is not None:
        which = f"{runtime.name} {runtime.version}"
        yield ok(f"{which} answers at {path}" + (f" (pid {runtime.pid})" if runtime.pid else ""))
        if runtime.config and runtime.version != __version__:
            why = "Not every option of one is known to the other."
            yield info(
                f"the daemon is {runtime.version}, this command {__version__}", why, "Restart it after an update."
            )
        return
    if host.forbidden:
        raise Unseen("the socket is not open to you", where=path)
    state = listening(host, path)
    if state is None:
        yield info(f"nobody listens at {path}", "The checks below look without the daemon.", command=host.start)
    elif state is False:
        why = "The daemon has ended without removing its socket: it crashed or was killed. Containers go on."
        yield warning(f"{path} is left over: nobody listens", why, "Start it; it takes up what runs.", host.start)
    else:
        why = f"It says: {host.silence}"
        yield error(f"who listens at {path} does not answer as a runtime", why, "Look into its log.")


def ready(host: Host) -> Findings:
    """What the runtime says of itself."""
    if host.runtime is None:
        return
    for condition in host.runtime.conditions:
        if condition.status:
            yield ok(f"{condition.type}" + (f" ({condition.message})" if condition.message else ""))
        elif condition.type in _LOOKED_AT:
            why = "The kubelet shows the node as NotReady."
            yield error(f"{condition.type} is false: {condition.message}", why)
        else:
            yield info(f"{condition.type} is false: {condition.message}")
