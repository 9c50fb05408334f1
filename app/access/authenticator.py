"""Which caller a request comes from: the holder of its key, or anyone where no keys are asked for."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from typing import Literal, TypeAlias

from app.access.api_keys import KeyStore
from app.domain.errors import StartError, Unauthorized
from app.domain.identity import Caller, anyone

Auth: TypeAlias = Literal["auto", "on", "off"]

NO_KEYS = (
    "{address} can be reached from other machines, and there is no key: make one with `likeness keys create --scopes "
    "verify,identify,enroll`, or listen on 127.0.0.1, or set LIKENESS_AUTH=off to let everybody in"
)


class Authenticator:
    """`reachable`: whether other machines can reach the service."""

    def __init__(self, keys: KeyStore, auth: Auth, *, reachable: bool) -> None:
        self._keys, self._auth, self._reachable = keys, auth, reachable

    def requires_key(self) -> bool:
        """By `auto`: where other machines can reach the service, and where there ever was a key."""
        return self._auth == "on" or (self._auth == "auto" and (self._reachable or self._keys.any()))

    def loopback_only(self) -> bool:
        """Whether it is the address alone that keeps others out."""
        return not self._reachable and not self.requires_key()

    def caller(self, given: Collection[str], address: str) -> Caller:
        """Of the different keys `given`, which must be one. Raises Unauthorized."""
        if not self.requires_key():
            return anyone(f"address:{network_of(address)}")
        if not given:
            raise Unauthorized("want a key, as `Authorization: Bearer KEY` or `X-API-Key: KEY`")
        if len(given) > 1:
            raise Unauthorized("want one key, got several that differ")
        (key,) = given
        return self._keys.caller(key)


def check_start(keys: KeyStore, auth: Auth, address: str, *, reachable: bool) -> str | None:
    """A warning, or None. Raises StartError where the service would be open, or of no use, to other machines."""
    if auth == "off":
        return f"LIKENESS_AUTH=off: whoever reaches {address} may do everything, with any key or none"
    if reachable and not keys.any():
        raise StartError(NO_KEYS.format(address=address))
    return None if auth == "auto" or keys.any() else "LIKENESS_AUTH=on, and there is no key yet: every request gets 401"


def network_of(address: str) -> str:
    """What one caller holds: an IPv4 address, or a whole /64 of IPv6."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False)) if parsed.version == 6 else str(parsed)


def is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`; a name other than localhost is taken for reachable."""
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"
