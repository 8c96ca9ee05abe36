#!/usr/bin/env bash
# Packs the checkout with its virtual environment into build/vm/checkout.ext4: the files under version control (as they
# are in the work tree), new ones that are not ignored, and .venv without what only checks the source.
set -euo pipefail
cd "$(dirname "$0")/../.."

out=build/vm
stage=$(mktemp -d $out/stage.XXXXXX)
trap 'rm -rf "$stage"' EXIT
mkdir "$stage/tree"
chmod 755 "$stage" "$stage/tree"
pwd > "$stage/path"
# A listed file may just have been removed.
git ls-files -z --cached --others --exclude-standard \
    | while IFS= read -r -d '' file; do [ -e "$file" ] && printf '%s\0' "$file"; done \
    | tar --null -T - -cf - | tar -C "$stage/tree" -xf -
tar --exclude='*/mypy' --exclude='*/mypyc' --exclude='*/bin/ruff' -cf - .venv | tar -C "$stage/tree" -xf -
# Compiling is slow under emulation.
.venv/bin/python -m compileall -q -s "$stage/tree" -p "$PWD" "$stage/tree/src" "$stage/tree/tests" || true
rm -f $out/checkout.ext4
mke2fs -q -t ext4 -L checkout -O ^has_journal -d "$stage" $out/checkout.ext4 1G
