"""One pipeline over several hosts gives what one machine gives."""

from __future__ import annotations

import pytest
from site_of_hosts import Site

pytestmark = pytest.mark.servers

DIAMOND = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]}


def test_two_hosts_give_what_one_machine_gives(site: Site) -> None:
    site.create(DIAMOND)
    site.host("one", "--slots", "1")
    site.host("two", "--slots", "1")
    site.ready()
    done = site.flow()
    assert done.returncode == 0, done.stdout + done.stderr + site.hosts["one"].said() + site.hosts["two"].said()
    assert site.result() == site.alone(DIAMOND)
    assert site.settled()
    assert [site.executions(name) for name in DIAMOND] == [1, 1, 1, 1]
    assert all(any(host.executions(name) for name in DIAMOND) for host in site.hosts.values())
