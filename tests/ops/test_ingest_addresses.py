"""Which addresses are of the public internet (docs/faults.md 38)."""

from __future__ import annotations

import pytest

from core.errors import SourceError
from ops.ingest.addresses import refuse_address


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "::1",
        "fe80::1%eth0",
        "fd00::1",
        "::ffff:10.0.0.1",
        "::10.0.0.1",
        "64:ff9b::a00:1",  # NAT64 of 10.0.0.1
        "64:ff9b::a9fe:a9fe",  # of 169.254.169.254
        "64:ff9b:1::a00:1",
        "2002:a00:1::1",  # 6to4 of 10.0.0.1
        "2001:0:a00:1::",  # Teredo with that server
    ],
)
def test_a_private_address_is_refused_however_it_is_wrapped(address: str) -> None:
    with pytest.raises(SourceError, match="private address"):
        refuse_address("host", address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700:4700::1111", "64:ff9b::808:808", "2002:808:808::1"])
def test_a_public_address_is_not(address: str) -> None:
    refuse_address("host", address)
