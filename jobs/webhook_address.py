"""Where a webhook may lead: to the outside, and not into the network that Assay itself stands in."""

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

MOST_CHARS = 2000
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class AddressRefused(ValueError):
    """Nothing is sent there; the message says why."""


@dataclass(frozen=True)
class Target:
    """An address that was looked up, and is connected to as it was found.

    Attributes:
        host: for the header and for TLS.
        path: with its query.
        ip: where to connect.
    """

    is_tls: bool
    host: str
    port: int
    path: str
    ip: str

    @property
    def host_header(self) -> str:
        """As the header ``Host`` has it."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == (443 if self.is_tls else 80) else f"{name}:{self.port}"


def check_url(url: str, *, private: bool) -> None:
    """Refuse what can be seen to be wrong without looking a name up.

    Raises:
        AddressRefused: it is.
    """
    parts = _parts(url, private=private)
    host = parts.hostname or ""
    if private:
        return
    if host == "localhost" or host.endswith((".localhost", ".local", ".internal")):
        raise AddressRefused(f"{host} is a name of a private network")
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return
    _check_public(str(ip))


def look_up(url: str, *, private: bool) -> Target:
    """The address to connect to. The name is looked up once, and what was checked is what is used: a name whose answer changes
    between the check and the connection leads nowhere else.

    Raises:
        AddressRefused: the name is unknown, or one of its addresses is not public.
    """
    parts = _parts(url, private=private)
    host = parts.hostname or ""
    is_tls = parts.scheme == "https"
    port = parts.port or (443 if is_tls else 80)
    try:
        name = host.encode("idna").decode("ascii")
        found = [str(one[4][0]) for one in socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError):
        raise AddressRefused("its name cannot be looked up") from None
    if not private:
        for ip in found:
            _check_public(ip)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(is_tls, name, port, path, found[0])


def _parts(url: str, *, private: bool) -> SplitResult:
    if len(url) > MOST_CHARS or not url.isascii() or any(c.isspace() or not c.isprintable() for c in url):
        raise AddressRefused(f"should be a URL of at most {MOST_CHARS} visible ASCII characters")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise AddressRefused("is no URL") from None
    if parts.scheme != "https" and not (private and parts.scheme == "http"):
        raise AddressRefused("should begin with https://")
    if not parts.hostname or port == 0:
        raise AddressRefused("names no host")
    if parts.username is not None or parts.password is not None or parts.fragment or "\\" in url:
        raise AddressRefused("should hold neither a user, nor a fragment, nor a backslash")
    return parts


def _check_public(address: str) -> None:
    """Also by the address inside the address: IPv6 can carry an IPv4 one in several ways."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    inside: list[ipaddress.IPv4Address | ipaddress.IPv6Address] = [ip]
    if isinstance(ip, ipaddress.IPv6Address):
        inside += [one for one in (ip.ipv4_mapped, ip.sixtofour) if one is not None]
        if ip.teredo is not None:
            inside += ip.teredo
        if ip in _NAT64:
            inside.append(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF))
    if any(not one.is_global or one.is_multicast for one in inside):
        raise AddressRefused("leads to an address that is not public")
