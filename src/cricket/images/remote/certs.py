"""Docker's certificate directories: <dir>/<host[:port]>/ with *.crt (CA), *.cert and *.key (client)."""

from __future__ import annotations

import os

from cricket.errors import FailedPrecondition
from cricket.images.remote.endpoint import Tls
from cricket.images.remote.hosts import directory_names
from cricket.images.remote.toml_table import list_files


def find_certs(roots: tuple[str, ...], host: str, verify: bool) -> tuple[str, Tls] | None:
    """(directory, settings) of the first directory for this host that holds certificates, None without one.

    Raises FailedPrecondition for a certificate whose key is missing, or a key whose certificate is.
    """
    for root in roots:
        for name in directory_names(host):
            directory = os.path.join(root, name)
            ca, client = list_files(directory, ".crt"), _client_pairs(directory)
            if ca or client:
                return directory, Tls(verify, tuple(ca), tuple(client))
    return None


def _client_pairs(directory: str) -> list[tuple[str, str]]:
    pairs = []
    for cert in list_files(directory, ".cert"):
        key = cert.removesuffix(".cert") + ".key"
        pairs.append((cert, key if os.path.exists(key) else cert))
    for key in list_files(directory, ".key"):
        cert = key.removesuffix(".key") + ".cert"
        if not os.path.exists(cert):
            raise FailedPrecondition(
                "a client key has no certificate beside it", where=key, todo=f"Name the certificate {cert}"
            )
    return pairs
