"""Generated from the sources in proto/; see scripts/gen_proto.py. Not edited by hand."""
