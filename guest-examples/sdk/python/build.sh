#!/bin/sh
# Builds a plugin in Python: build.sh OUT MODULE [FOLDER...]
#
# MODULE is the name of the plugin's module, which lies in one of the folders or here. COMPONENTIZE_PY is the program of the
# package componentize-py (default: componentize-py), 0.25.1. WIT is the folder of the interface's definition (default: wit).
set -eu
sdk=$(dirname "$0")
out=$1 module=$2
shift 2
for folder in "$@"; do
    set -- "$@" -p "$folder"
    shift
done
# Without the stubs the component would ask for WASI: files, sockets, clocks and the rest.
exec "${COMPONENTIZE_PY:-componentize-py}" -d "${WIT:-wit}" -w transform componentize --stub-wasi -p "$sdk" "$@" "$module" -o "$out"
