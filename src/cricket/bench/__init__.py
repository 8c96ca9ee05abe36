"""Benchmarks of CRI runtimes, driven from outside through CRI alone; nothing here knows an engine."""
