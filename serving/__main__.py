"""Serve packaged models over HTTP.

    python -m serving packages/detection packages/translation
    python -m serving new=packages/detection old=archive/detection --port 8080

A package is verified and its golden samples are predicted again before it answers; `--help` has every knob.
SIGTERM drains, SIGHUP looks for new versions (as the server does by itself every `--watch-s`).
"""

from __future__ import annotations

import sys

from serving.settings import parse


def main() -> None:
    arguments = sys.argv[1:]
    settings, inherited = parse(arguments)
    if inherited is None:
        from serving import logs
        from serving.supervisor import Supervisor

        logs.configure(settings.text_log)
        sys.exit(Supervisor(settings, arguments).run())
    from serving.worker import serve

    serve(settings, inherited)


if __name__ == "__main__":
    main()
