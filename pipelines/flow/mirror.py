"""Prefect beside a running execution: its server and its flow run, in a thread that can fail without harm."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time

from core.address import public
from pipelines.flow import access, server
from pipelines.flow.execution import Execution, Options

PATIENCE_S = 60.0
"""After the stages: how long Prefect may take to write down the rest."""


class Mirror:
    """Shows an execution in Prefect. `finish` when the stages are done."""

    def __init__(self, execution: Execution, options: Options):
        self.problem = ""
        """Why Prefect has not (all of) the flow run."""
        self._execution, self._options, self._url = execution, options, ""
        self._own: server.OwnServer | None = None
        self._thread = threading.Thread(target=self._run, name="prefect", daemon=True)
        self._thread.start()

    @property
    def page(self) -> str:
        """URL of the flow run's page; empty while there is none."""
        flow_run = self._execution.flow_run
        return f"{public(self._url).removesuffix('/api')}/runs/flow-run/{flow_run}" if flow_run else ""

    @property
    def late(self) -> bool:
        """Whether the stages are done before Prefect's server has started."""
        return self._thread.is_alive() and not self.page

    @property
    def temporary(self) -> bool:
        """Whether the server ends with the flow."""
        return self._own is not None

    def finish(self) -> None:
        """Wait until Prefect has everything, for a while; then the own server ends."""
        patience = time.monotonic() + (server.START_S if self._own and not self.page else PATIENCE_S)
        stopped = self._execution.scheduler.stop_requested
        asked = stopped()
        while self._thread.is_alive() and time.monotonic() < patience and stopped() == asked:  # Ctrl-C ends the wait
            self._thread.join(0.2)
        if self._thread.is_alive():
            self.problem = self.problem or "Prefect's server did not answer in time"
        if self._own is not None:
            self._own.stop()

    def _run(self) -> None:
        try:
            self._url = self._connect()
            os.environ.update({"PREFECT_API_URL": self._url, **server.QUIET})
            os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "CRITICAL"  # the terminal is the view's
            logging.raiseExceptions = False  # nor does a lost server write there
            self._follow()
        except Exception as error:  # whatever Prefect throws: the stages do not depend on it
            self.problem = public(f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")

    def _connect(self) -> str:
        """The API to use: the configured one if it answers, else an own one."""
        if url := server.configured():
            if server.answers(url):
                os.environ.update(access.client(url))
                return url
            print(
                f"warning: Prefect at {public(url)} does not answer; using a server of this repository", file=sys.stderr
            )
        os.environ.update({**server.own_environment(), "PREFECT_API_AUTH_STRING": access.password()})
        self._own = server.OwnServer()
        if not self._own.wait():
            raise RuntimeError(f"the server did not start, see {server.HOME / 'server.log'}")
        return self._own.url

    def _follow(self) -> None:
        """Prefect is imported only here: it takes two seconds, and only now are its settings known."""
        from pipelines.flow.prefect_flow import following, pipeline, settle  # noqa: PLC0415

        options, slots = self._options, self._execution.scheduler.slots
        token = following.set(self._execution)
        try:
            pipeline(
                targets=list(options.targets) or None,
                jobs=slots.jobs,
                gpus=len(slots.gpus),
                force=options.force,
                downstream=options.downstream,
                return_state=True,
            )
            settle(self._execution, time.monotonic() + PATIENCE_S / 2)
        finally:
            following.reset(token)
