"""Show the pods of the node agent, with reasons: in a table, or one as `kubectl describe` would."""

from __future__ import annotations

import argparse
import http.client
import json
import socket
from typing import Any

from cricket.cli import options
from cricket.cli.forms import print_document
from cricket.cli.podview import describe, table
from cricket.client.errors import UnreachableError
from cricket.errors import NotFound

EXAMPLES = """\
  cricket kubelet status
  cricket kubelet status web
  cricket kubelet status -o json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("pod", nargs="?", help="NAME or NAMESPACE/NAME")
    parser.add_argument("--api-socket", default="", metavar="PATH", help="the agent's API")
    options.add_output(parser, wide=True)


def run(args: argparse.Namespace) -> int:
    """Ask the agent and print."""
    from cricket.kubelet.agent_session import SOCKET

    path = args.api_socket or SOCKET
    answer = ask(path, "/pods")
    pods = answer["items"]
    if args.pod:
        pods = [pod for pod in pods if args.pod in (pod["metadata"]["name"], _key(pod))]
        if not pods:
            raise NotFound("the agent has no such pod", where=args.pod, todo="see `cricket kubelet status`")
    if print_document(args.output, {**answer, "items": pods}):
        return 0
    if args.pod:
        events = ask(path, "/events")["items"]
        for pod in pods:
            describe(pod, [event for event in events if event["involvedObject"]["uid"] == pod["metadata"]["uid"]])
    else:
        table(pods, wide=args.output == "wide")
        for problem in answer.get("problems", ()):
            print(f"! {problem}")
    return 0


def _key(pod: dict[str, Any]) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"


def ask(path: str, what: str) -> Any:
    """GET from the agent's API. Raises UnreachableError."""
    connection = http.client.HTTPConnection("localhost", timeout=10)
    try:
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(10)
        connection.sock.connect(path)
        connection.request("GET", what)
        return json.loads(connection.getresponse().read())
    except OSError as error:
        todo = "start it with `cricket kubelet`"
        raise UnreachableError("the agent cannot be reached", where=f"unix://{path}", todo=todo) from error
    finally:
        connection.close()
