#!/bin/sh
# Called by `sluicebox plugin build` with the file to write. COMPONENTIZE_QJS is the program of the package componentize-qjs; default: the
# one that `npm install` puts here.
COMPONENTIZE_QJS=${COMPONENTIZE_QJS:-node_modules/.bin/componentize-qjs}
export COMPONENTIZE_QJS
exec sh sdk/build.sh "$1" plugin.js .
