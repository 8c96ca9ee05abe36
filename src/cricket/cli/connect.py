"""The connection that a command's options ask for."""

from __future__ import annotations

import argparse

from cricket.cli.options import endpoint
from cricket.client.connection import Client


def connect(args: argparse.Namespace) -> Client:
    """Connect to the endpoint of `add_client`. Raises as `Client` does."""
    return Client(endpoint(args), getattr(args, "timeout", None))
