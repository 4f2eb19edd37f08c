#!/bin/sh
# graves_lm VERB ARGUMENTS: python -m graves_lm.VERB ARGUMENTS, as the container's first process, so that it gets
# the signals (SIGTERM saves and ends a training).
set -eu
verb="${1:-doctor}"
[ "$#" -eq 0 ] || shift
case "$verb" in
    train | evaluate | sample | prepare | compare | dashboard | doctor) exec python -m "graves_lm.$verb" "$@" ;;
    *) exec "$verb" "$@" ;;
esac
