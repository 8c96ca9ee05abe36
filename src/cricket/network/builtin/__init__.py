"""Standard CNI plugins inside the daemon: same effects, same files, no processes. `choose` says when they are used."""
