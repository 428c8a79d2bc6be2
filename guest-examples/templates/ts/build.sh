#!/bin/sh
# Called by `sluicebox plugin build` with the file to write. TSC and COMPONENTIZE_QJS are the programs of the packages typescript and
# componentize-qjs; default: those that `npm install` puts here. Types are checked, and plugin.js is written beside plugin.ts.
set -eu
"${TSC:-node_modules/.bin/tsc}" -p .
COMPONENTIZE_QJS=${COMPONENTIZE_QJS:-node_modules/.bin/componentize-qjs}
export COMPONENTIZE_QJS
exec sh sdk/build.sh "$1" plugin.js .
