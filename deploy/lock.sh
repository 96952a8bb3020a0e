#!/bin/sh
# Writes the two lock files: requirements.lock (daemon and node) and requirements-dev.lock (tests and tools on top).
# torch is left out: its CPU and CUDA builds have different hashes, so it gets an install step of its own.
# Names, versions and hashes only; a lock must never say where somebody downloads from.
set -eu
cd "$(dirname "$0")/.."
uv=${UV:-.venv/bin/uv}
overrides=$(mktemp)
trap 'rm -f "$overrides"' EXIT
echo "torch ; sys_platform == 'never'" > "$overrides"
compile() {
    "$uv" pip compile --quiet pyproject.toml --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
        --no-emit-index-url --no-emit-find-links --no-emit-package torch --override "$overrides" "$@"
}
compile --extra ldm --extra postgresql --extra build -o deploy/requirements.lock
compile --extra ldm --extra postgresql --extra build --extra test --extra train --extra dev -c deploy/requirements.lock -o deploy/requirements-dev.lock
if grep -nE '://|^torch==|^nvidia-(cu|nccl)|file:' deploy/requirements.lock deploy/requirements-dev.lock; then
    echo "lock.sh: the lines above must not be in a lock" >&2
    exit 1
fi
