#!/bin/sh
# Builds a plugin in JavaScript: build.sh OUT FILE ROOT
#
# FILE is the plugin's module; it and all that it imports lie under ROOT. COMPONENTIZE_QJS is the program of the package
# componentize-qjs (default: componentize-qjs), 0.4.5. WIT is the folder of the interface's definition (default: wit).
set -eu
# Without the stubs the component would ask for WASI; --sync: the host has no asynchronous calls.
exec "${COMPONENTIZE_QJS:-componentize-qjs}" --wit "${WIT:-wit}" --world transform --js "$2" --module-root "$3" --stub-wasi --sync -o "$1"
