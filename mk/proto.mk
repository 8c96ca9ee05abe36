# Generated protobuf code. `proto` writes it, `proto-check` fails when it is stale. Both need a package registry once,
# for grpcio-tools in an environment of its own; the unit tests check freshness by digest without that.
.PHONY: proto proto-check

proto:
	$(or $(PYTHON),python3) scripts/gen_proto.py

proto-check:
	$(or $(PYTHON),python3) scripts/gen_proto.py --check
