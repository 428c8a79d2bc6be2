#!/bin/sh
# Called by `sluicebox plugin build` with the file to write. COMPONENTIZE_PY is the program of the package componentize-py.
exec sh sdk/build.sh "$1" plugin .
