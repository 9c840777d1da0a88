"""The proxy that a request goes through, as the environment names it.

aiohttp would find it itself (`trust_env`), but then it also takes passwords from ~/.netrc, which contradict the keys
that are sent, and fails on proxies of kinds that it does not know.
"""

from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

_HERE = frozenset({"localhost", "127.0.0.1", "::1"})


def proxy_for(address: str) -> str | None:
    """The address of an HTTP proxy, by HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY; None where there is none.

    Args:
        address: Where the request goes.
    """
    parts = urlsplit(address)
    if not parts.hostname or parts.hostname in _HERE or proxy_bypass(parts.hostname):
        return None
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy:
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    return proxy if urlsplit(proxy).scheme in {"http", "https"} else None
