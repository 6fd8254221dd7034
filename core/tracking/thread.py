"""The background thread that sends a stage's spool while the stage works, and what earlier stages left behind."""

from __future__ import annotations

import threading

from core.tracking import spool as spools
from core.tracking.sender import Sender, without_password
from core.tracking.spool import Spool

POLL_S = 0.5
PAUSES_S = (1, 2, 4, 8, 15)
LAST_TRIES = 3
"""Failures in a row after which a finished stage waits no longer: pauses of 1 + 2 seconds."""


class Thread(threading.Thread):
    """Sends one spool until its end event has been sent."""

    def __init__(self, spool: Spool, leftovers: bool = False):
        super().__init__(name="tracking", daemon=True)
        self.spool = spool
        self.problem = ""
        """The last error, empty while all goes well."""
        self.reached = False
        """Whether the store has answered at all."""
        self._leftovers = leftovers
        self._finishing, self._over, self._stop_now = threading.Event(), threading.Event(), threading.Event()
        self._sent = False

    def finish(self, wait: float) -> bool:
        """Wait at most `wait` seconds until all is sent; then release the spool. Returns: whether all was sent."""
        self._finishing.set()
        self._over.wait(wait)
        self._stop_now.set()
        if self._sent:
            self.spool.remove()
        self.spool.release()
        return self._sent

    def run(self) -> None:
        failures, last_tries = 0, LAST_TRIES
        sender: Sender | None = None
        while not self._stop_now.is_set():
            finishing = self._finishing.is_set()
            try:
                sender = sender or Sender()
                self._sent = sender.send(self.spool)
            except Exception as error:  # whatever the server or the network does, the stage goes on
                text = str(error).partition("\n")[0]
                self.problem = without_password(f"{type(error).__name__}: {text}")[:200]
                last_tries -= finishing
                if not last_tries:
                    break
                pause = PAUSES_S[min(LAST_TRIES - last_tries - 1 if finishing else failures, len(PAUSES_S) - 1)]
                (self._stop_now if finishing else self._finishing).wait(pause)
                failures += 1
                continue
            failures, self.problem, self.reached = 0, "", True
            if self._sent:
                break
            self._send_leftovers(sender)
            self._finishing.wait(POLL_S)
        self._over.set()

    def _send_leftovers(self, sender: Sender) -> None:
        """Once, while the stage works: what earlier stages could not send."""
        if not self._leftovers:
            return
        self._leftovers = False
        for left in spools.abandoned():
            with left:
                if self._finishing.is_set():
                    return
                left.close()
                try:
                    if sender.send(left):
                        left.remove()
                except Exception as error:  # it stays for `replay`, which tells of it
                    self.problem = type(error).__name__
                    return
