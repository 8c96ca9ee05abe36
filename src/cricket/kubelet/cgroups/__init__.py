"""The cgroups of pods and of their QoS classes: what a node agent makes itself, above what the runtime makes."""
