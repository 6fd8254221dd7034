"""Health check of a service: exit code 0 when the address on the command line answers 200, without any proxy."""

import sys
from urllib.request import ProxyHandler, build_opener

TIMEOUT_S = 4  # below that of the check, so that the reason is told

try:
    build_opener(ProxyHandler({})).open(sys.argv[1], timeout=TIMEOUT_S)
except OSError as error:
    sys.exit(f"{sys.argv[1]}: {error}")
