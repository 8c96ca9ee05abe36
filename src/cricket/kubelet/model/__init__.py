"""The Kubernetes types that the agent understands, as immutable values with Kubernetes' names.

Field names are Kubernetes' in snake case, and camel case in manifests (`encode_name`). A default is Kubernetes'
default; `None` means that the manifest may leave the field out and that it matters. What Kubernetes knows and we do not
is in `manifest/unsupported.py`. Sources: the OpenAPI of core/v1, apps/v1 and batch/v1, Kubernetes 1.36.
"""
