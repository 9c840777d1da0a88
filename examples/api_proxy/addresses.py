"""Which addresses a proxy may connect to: checked after the name is resolved, and connected to as they were checked."""

import ipaddress
import socket
from collections.abc import Callable

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
"""Of IPv6; everything else is local, or leads to IPv4 addresses by a detour (NAT64)."""


class Forbidden(OSError):
    """The address is not on the public Internet."""


def is_public(text: str) -> bool:
    """Whether an address is on the public Internet: not private, loopback, link-local (metadata!), or reserved."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:  # 0177.0.0.1 and the like
        return False
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:  # ::ffff:127.0.0.1
            return is_public(str(address.ipv4_mapped))
        if address not in GLOBAL_UNICAST or address.sixtofour or address.teredo:
            return False
    return address.is_global and not address.is_multicast


class CheckedResolver(AbstractResolver):
    """Resolves a name once for each connection, and refuses it if any of its addresses may not be reached.

    The connection goes to the addresses that were checked. So a name whose next answer is another (DNS rebinding)
    gains nothing.

    Args:
        may_reach: Says of an address whether it may be connected to.
        resolver: Asks the DNS; by default as the system does.
    """

    def __init__(self, may_reach: Callable[[str], bool] = is_public, resolver: AbstractResolver | None = None) -> None:
        self._may_reach = may_reach
        self._resolver = resolver

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of a name.

        Raises:
            Forbidden: One of them may not be reached.
        """
        self._resolver = self._resolver or ThreadedResolver()
        found = await self._resolver.resolve(host, port, family)
        if not all(self._may_reach(each["host"]) for each in found):
            raise Forbidden(f"{host} has an address that is not on the public Internet")
        return found

    async def close(self) -> None:
        """Close the resolver that was given."""
        if self._resolver is not None:
            await self._resolver.close()
