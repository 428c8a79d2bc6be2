#!/bin/sh
# Called by `sluicebox plugin build` with the file to write. CLANG is a clang that builds WebAssembly; default: clang.
exec sh sdk/build.sh "$1" plugin.c
