"""Which proxy a request goes through, by the variables that all programs share."""

import ipaddress
import ssl
from typing import Final
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3

_CONNECTIONS: Final = 16
"""Connections to one host that are kept for the next request; urllib3 warns of each one beyond."""


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine by its very name: localhost, 127.0.0.0/8 or ::1."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def find_proxy(url: str) -> str:
    """Return the URL of the proxy for a request, empty for none.

    HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY in either case, and what the operating system
    has set where Python knows. As in Go's programs, the Docker client among them, NO_PROXY may
    hold networks (10.0.0.0/8), and this machine is never asked for through a proxy.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    proxies = getproxies()
    if is_loopback(host) or proxy_bypass(parts.netloc) or _in_networks(host, proxies.get("no", "")):
        return ""
    proxy = proxies.get(parts.scheme) or proxies.get("all") or ""
    return proxy if not proxy or "://" in proxy else f"http://{proxy}"


def open_pool(proxy: str, tls: ssl.SSLContext) -> urllib3.PoolManager:
    """Return a pool of connections that go through a proxy, or straight for an empty `proxy`."""
    if not proxy:
        return urllib3.PoolManager(maxsize=_CONNECTIONS, ssl_context=tls)
    login = urllib3.util.parse_url(proxy).auth
    headers = urllib3.make_headers(proxy_basic_auth=unquote(login)) if login else None
    return urllib3.ProxyManager(proxy, proxy_headers=headers, maxsize=_CONNECTIONS, ssl_context=tls)


def _in_networks(host: str, no_proxy: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return any(_is_within(address, entry.strip()) for entry in no_proxy.split(","))


def _is_within(address: ipaddress.IPv4Address | ipaddress.IPv6Address, entry: str) -> bool:
    try:
        return address in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False
