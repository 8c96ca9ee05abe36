"""`cricket top`: what a node's pods use, measured again and again and drawn over the whole terminal."""
