"""The node agent: pod manifests become running pods, through CRI alone. A client; it knows nothing of the engine."""
