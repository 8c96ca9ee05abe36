"""Manifests from pods that run."""
