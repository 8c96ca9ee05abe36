"""Registries: which endpoint a reference goes to, how to speak to it, and what its answers must look like.

Everything that reads configuration is light and may be used by the CLI; everything that opens a socket runs in the
pull worker only, blocking, in threads.
"""
