"""The directories and files behind a pod's volumes."""
