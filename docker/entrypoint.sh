#!/bin/sh
# graves_lm VERB ARGUMENTS: graves-lm VERB ARGUMENTS, as the container's first process, so that it gets the signals
# (SIGTERM saves and ends a training). What is no verb is another command of the image.
set -eu
verb="${1:-doctor}"
[ "$#" -eq 0 ] || shift
case "$verb" in
    train | evaluate | sample | hands | page | serve | prompts | read | compress | decompress | prepare | compare | export | dashboard | doctor | --help) exec graves-lm "$verb" "$@" ;;
    *) exec "$verb" "$@" ;;
esac
