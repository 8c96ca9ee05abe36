"""The CRI server: servicers that convert, call and convert; see docs/rooms/cri.md."""
