"""Decide who makes a request: the owner of its key, or an anonymous caller if the service requires no key."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from functools import lru_cache
from typing import Literal, TypeAlias

from app.access.api_keys import KeyStore
from app.domain.errors import StartError, Unauthorized
from app.domain.identity import Caller, anonymous

Auth: TypeAlias = Literal["auto", "on", "off"]

NO_KEYS = (
    "other machines can reach {address}, and there is no key: create one with `likeness keys create --scopes "
    "verify,identify,enroll`, listen on 127.0.0.1 instead, or set LIKENESS_AUTH=off to allow everybody everything"
)


class Authenticator:
    """`reachable` says whether other machines can reach the service."""

    def __init__(self, keys: KeyStore, auth: Auth, *, reachable: bool) -> None:
        self._keys, self._auth, self._reachable = keys, auth, reachable

    def requires_key(self) -> bool:
        """Return whether a request needs a key; with `auto`, if the service is reachable or a key was ever created."""
        return self._auth == "on" or (self._auth == "auto" and (self._reachable or self._keys.has_keys()))

    def loopback_only(self) -> bool:
        """Return whether nothing but the loopback address protects the service."""
        return not self._reachable and not self.requires_key()

    def authenticate(self, given: Collection[str], address: str) -> Caller:
        """Return the owner of the one key in `given`, the distinct keys of a request. Raises Unauthorized."""
        if not self.requires_key():
            return anonymous(f"address:{network_of(address)}")
        if not given:
            raise Unauthorized("expected a key in `Authorization: Bearer KEY` or `X-API-Key: KEY`, got none")
        if len(given) > 1:
            raise Unauthorized(f"expected one key, got {len(given)} different ones")
        (key,) = given
        return self._keys.authenticate(key)


def check_exposure(keys: KeyStore, auth: Auth, address: str, *, reachable: bool) -> str | None:
    """Return a warning or None. Raises StartError if other machines can reach the service and there is no key."""
    if auth == "off":
        return f"LIKENESS_AUTH=off: everybody who can reach {address} may do everything, without a key"
    if reachable and not keys.has_keys():
        raise StartError(NO_KEYS.format(address=address))
    if auth == "on" and not keys.has_keys():
        return "LIKENESS_AUTH=on and there is no key yet: every request is answered with 401"
    return None


@lru_cache(maxsize=1024)
def network_of(address: str) -> str:
    """Return what identifies a caller without a key: the IPv4 address, or the /64 network of an IPv6 address."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False)) if parsed.version == 6 else str(parsed)


@lru_cache(maxsize=1024)
def is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach `host`; any name except localhost counts as reachable."""
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"
