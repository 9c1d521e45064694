#!/usr/bin/env bash
# The tests of the kernels, where all of the workspace's `unsafe` is, under the tools that see what tests alone do not: reads and writes out of bounds
# (AddressSanitizer), data races (ThreadSanitizer), and undefined behaviour of the pool, the buffers and the unfilled vectors (Miri, which is too slow for the rest).
#
#   rustup toolchain install nightly --component miri,rust-src
#   bash bench/sanitize.sh [address|thread|miri]        # all three: about five minutes on two cores
set -euo pipefail
cd "$(dirname "$0")/.."
target=$(rustc -vV | sed -n 's/^host: //p')

sanitizer() {
    echo "== $1"
    RUSTFLAGS="-Zsanitizer=$1" cargo +nightly test -Zbuild-std -p ganymede-kernels --lib --target "$target" --target-dir "target/sanitize-$1"
}

[ $# -gt 0 ] || set -- address thread miri
for tool in "$@"; do
    case $tool in
        address | thread) sanitizer "$tool" ;;
        miri)
            echo "== miri"
            # The test of the pool with very many works would take hours.
            MIRIFLAGS="-Zmiri-disable-isolation" cargo +nightly miri test -p ganymede-kernels --lib --target-dir target/sanitize-miri -- \
                fill scratch threads::tests::every threads::tests::a_sleeping
            ;;
        *) echo "no such tool: $tool" >&2 && exit 2 ;;
    esac
done
