"""Which addresses a webhook may go to. A customer names the address, so it may not lead into our own network."""

from __future__ import annotations

import asyncio
import ipaddress
import socket

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_LOCAL_NAT64 = ipaddress.IPv6Network("64:ff9b:1::/48")


class RefusedAddress(Exception):
    """The address leads inside the network, or nowhere."""


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open internet, also when it is a v4 address inside a v6 one."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if ip in _LOCAL_NAT64:
            return False
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        # ::a.b.c.d, which some systems still connect to.
        if inner is None and int(ip) >> 32 == 0:
            inner = ipaddress.IPv4Address(int(ip))
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


async def resolve(host: str, port: int, *, allow_private: bool) -> list[str]:
    """The addresses of a host, looked up once and all checked: what is connected to is what was checked.

    Raises:
        RefusedAddress: one of them is not public, or there are none.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise RefusedAddress(f"{host} has no address: {error}") from error
    addresses = list(dict.fromkeys(str(info[4][0]) for info in found))
    if not addresses:
        raise RefusedAddress(f"{host} has no address")
    if not allow_private and not all(is_public(address) for address in addresses):
        raise RefusedAddress(f"{host} is inside a network, not on the open internet")
    return addresses
