#!/bin/sh
# Builds a plugin in C: build.sh OUT SOURCE...
#
# CLANG is a clang that builds WebAssembly (default: clang), with lld. There is no C library in a plugin.
set -eu
sdk=$(dirname "$0")
out=$1
shift
"${CLANG:-clang}" --target=wasm32 -std=c11 -O2 -mbulk-memory -nostdlib -Wall -Wextra -Werror \
    -Wl,--no-entry -Wl,--strip-all -I"$sdk" -o "$out" "$@" "$sdk/sluicebox.c"
