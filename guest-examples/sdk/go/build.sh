#!/bin/sh
# Builds a plugin in Go: build.sh OUT PACKAGE
#
# PACKAGE is the folder of the plugin's package main. GO is the compiler (default: go), 1.25 or newer. The file is a module for WASI
# preview 1, of which Go's runtime wants some functions; the host answers them with nothing from outside.
set -eu
out=$1
case $out in /*) ;; *) out=$(pwd)/$out ;; esac
cd "$2"
# -trimpath: the same source gives the same file, wherever it lies.
GOOS=wasip1 GOARCH=wasm "${GO:-go}" build -trimpath -buildvcs=false -buildmode=c-shared -ldflags='-s -w' -o "$out" .
