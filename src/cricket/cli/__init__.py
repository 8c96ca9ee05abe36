"""The `cricket` command: client of CRI, and the way into the daemon."""
