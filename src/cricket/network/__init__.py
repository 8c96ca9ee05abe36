"""Pod networks by CNI: configurations, plugin execution, cached results, readiness."""

from cricket.network.network import Network, NetworkResult

__all__ = ["Network", "NetworkResult"]
