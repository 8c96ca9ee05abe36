"""conmon: one small process per container that holds its streams, writes its log and reports its exit."""
