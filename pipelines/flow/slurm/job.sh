#!/bin/sh
# The batch script of a stage's job. $1: a folder for what `supervisor` reads; $2: variables that count threads; the rest:
# the command.
folder=$1 threads=$2
shift 2
mkdir "$folder/claim" 2>/dev/null || exit 0 # submitted twice, when SLURM took the first one without saying so
if [ "$STILLHOUSE_THREADS" = 0 ]; then      # the whole node
    for name in $threads; do export "$name=${SLURM_CPUS_ON_NODE:-1}"; done
fi
: >"$folder/began"
trap : TERM # it is the command's, which this waits for
"$@" </dev/null
code=$?
echo $code >"$folder/code.partial"
mv "$folder/code.partial" "$folder/code"
exit $code
