"""Run a command in a running container; the exit code is the command's.

With -t the command has a terminal; with -i your input goes to it. A pod stands for its only container; -c chooses one
of several. --sync asks for the output as a whole, without the streaming server.
"""

from __future__ import annotations

import argparse
import math
import sys

from cricket.cli import options, target
from cricket.cli.connect import connect
from cricket.cli.errors import UsageError
from cricket.cli.forms import for_people, print_document
from cricket.client.connection import Client

EXAMPLES = """\
  cricket exec web ls -l /
  cricket exec -it web sh
  cricket exec shop -c web -- env LANG=C ls -l /
  tar c . | cricket exec -i web tar x -C /tmp
  cricket exec --sync --limit 10s -o json web cat /etc/hostname
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("-i", "--stdin", action="store_true", help="pass on standard input")
    parser.add_argument("-t", "--tty", action="store_true", help="with a terminal")
    parser.add_argument("-c", "--container", dest="name", default="", metavar="NAME", help="which of a pod")
    parser.add_argument("-s", "--sync", action="store_true", help="by ExecSync, without the streaming server")
    parser.add_argument("--limit", type=options.seconds, default=0.0, metavar="SPAN", help="with --sync: kill it after")
    for flags, word in ((("-e", "--env"), "env"), (("-w", "--workdir"), "workdir"), (("-u", "--user"), "user")):
        parser.add_argument(*flags, dest=word, action="append", default=[], help=argparse.SUPPRESS)
    parser.add_argument("container", help="id or name, or a pod's")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="the command with its arguments")
    options.add_output(parser)
    options.add_transport(parser)
    options.add_client(parser)


def run(args: argparse.Namespace) -> int:
    """Run it."""
    args, command = _kubectl_order(args)
    _refuse(args)
    if not command:
        raise UsageError("a command is missing", todo="see `cricket exec --help`")
    if args.sync and (args.stdin or args.tty):
        raise UsageError("--sync has neither input nor terminal", todo="leave out -i and -t")
    if not args.sync and (args.limit or not for_people(args.output)):
        raise UsageError("--limit and -o are for --sync", todo="add --sync")
    with connect(args) as client:
        container_id = target.container(client, args.container, args.name, running=True).id
        if args.sync:
            return _sync(client, args, container_id, command)
        url = client.call(
            "Exec",
            container_id=container_id,
            cmd=command,
            tty=args.tty,
            stdin=args.stdin,
            stdout=True,
            stderr=not args.tty,
        ).url
    from cricket.cli.streaming import converse

    return converse(url, args, stdin=args.stdin, tty=args.tty)


def _kubectl_order(args: argparse.Namespace) -> tuple[argparse.Namespace, list[str]]:
    """Options between the container and `--`, as in `exec POD -c NAME -- CMD`, and the command."""
    words: list[str] = args.command
    if not words or not words[0].startswith("-"):
        return args, words
    end = words.index("--") if "--" in words else len(words)
    parser = options.Parser("cricket exec", "", "")
    configure(parser)
    args = parser.parse_args([*words[:end], args.container], namespace=args)
    return args, words[end + 1 :]


def _refuse(args: argparse.Namespace) -> None:
    """What docker users type, and CRI has no field for. Raises UsageError."""
    todos = {
        "env": "set it in the container: `exec WEB env NAME=VALUE COMMAND`",
        "workdir": "change it in the container: `exec WEB sh -c 'cd DIR && exec COMMAND'`",
        "user": "become it in the container: `exec WEB su USER -c COMMAND`",
    }
    for word, todo in todos.items():
        if getattr(args, word):
            raise UsageError(f"CRI has no --{word} for commands", todo=todo)


def _sync(client: Client, args: argparse.Namespace, container_id: str, command: list[str]) -> int:
    answer = client.call("ExecSync", container_id=container_id, cmd=command, timeout=math.ceil(args.limit))
    if not for_people(args.output):
        outputs = {name: getattr(answer, name).decode("utf-8", "replace") for name in ("stdout", "stderr")}
        print_document(args.output, {**outputs, "exitCode": answer.exit_code})
    else:
        sys.stdout.buffer.write(answer.stdout)
        sys.stdout.buffer.flush()
        sys.stderr.buffer.write(answer.stderr)
        sys.stderr.buffer.flush()
    return int(answer.exit_code)
