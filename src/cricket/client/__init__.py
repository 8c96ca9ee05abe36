"""The client's side of CRI, for the command line, the node agent and the benchmarks."""
