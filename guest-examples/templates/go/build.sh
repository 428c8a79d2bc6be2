#!/bin/sh
# Called by `sluicebox plugin build` with the file to write. GO is the compiler, 1.25 or newer; default: go.
exec sh sdk/build.sh "$1" .
