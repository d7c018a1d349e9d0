#!/bin/sh
# Exits with 1 if restarting the worker would help. What only a person can mend is printed, and
# left: a restart would cost every request in flight, each minute, for nothing.
# Runs in the folder of manage.py.

said=$("${PYTHON:-python}" manage.py webhooks health --json)
echo "$said"
case $said in
    *'"restart": true'*) exit 1 ;;
esac
