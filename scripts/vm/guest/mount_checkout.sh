#!/bin/sh
# Puts the checkout where it is on the host: the virtual environment in it has absolute paths.
set -eu
mkdir -p /run/checkout
mount -t ext4 /dev/disk/by-label/checkout /run/checkout
path=$(cat /run/checkout/path)
mkdir -p "$path"
mount --bind /run/checkout/tree "$path"
ln -sfn "$path/.venv/bin/cricket" /usr/local/bin/cricket
ln -sfn "$path" /run/checkout-path
