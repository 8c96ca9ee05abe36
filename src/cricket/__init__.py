"""Cricket: a Kubernetes container runtime that is small enough to read."""

__version__ = "0.1.0"
