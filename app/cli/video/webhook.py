"""
Send events to an address of the user's, signed as the Standard Webhooks specification says.

GitHub signs the body alone, which anyone may send again; Stripe signs a time with it, in a form of its own. The
specification does the latter, has an id that stays the same when an event is sent again, and libraries that verify it
in most languages (`standardwebhooks`).
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
from httpx_retries import RetryTransport

from app.cli.output import CommandError
from app.client.connection import policy

MAX_WAITING = 256
"""Events; those beyond are dropped, so that a slow receiver costs neither memory nor frames."""
TIMEOUT, RETRIES = 10.0, 4
LAST_SECONDS = 20.0
"""For what still waits when the watch ends."""
PREFIX = "whsec_"


def read_secret(text: str | None) -> bytes:
    """Return the key of a secret. Raises CommandError."""
    try:
        key = base64.b64decode((text or "").removeprefix(PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if len(key) < 24:
        raise CommandError(
            "expected LIKENESS_WEBHOOK_SECRET with base64 of 24 bytes or more: "
            f"echo {PREFIX}$(openssl rand -base64 32) makes one"
        )
    return key


def signature(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    signed = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(signed.digest()).decode()}"


class Webhook:
    """Sends events in their order, one at a time."""

    def __init__(self, client: httpx.AsyncClient, url: str, key: bytes) -> None:
        self._client, self._url, self._key = client, url, key
        self._waiting: asyncio.Queue[Mapping[str, Any]] = asyncio.Queue(MAX_WAITING)
        self.delivered, self.lost, self.last_error = 0, 0, ""

    def send(self, event: Mapping[str, Any]) -> None:
        """Put the event in the queue; never waits."""
        try:
            self._waiting.put_nowait(event)
        except asyncio.QueueFull:
            self._lose("the receiver is too slow")

    async def run(self) -> None:
        while True:
            event = await self._waiting.get()
            await self._deliver(event)
            self._waiting.task_done()

    async def finish(self, seconds: float = LAST_SECONDS) -> None:
        """Wait for what is still in the queue, but not longer than that."""
        try:
            await asyncio.wait_for(self._waiting.join(), seconds)
        except TimeoutError:
            self.lost += self._waiting.qsize() + 1
            self.last_error = self.last_error or "the receiver is too slow"

    async def _deliver(self, event: Mapping[str, Any]) -> None:
        body, message_id, timestamp = json.dumps(event).encode(), f"msg_{uuid.uuid4().hex}", int(time.time())
        headers = {
            "Content-Type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(self._key, message_id, timestamp, body),
        }
        try:
            (await self._client.post(self._url, content=body, headers=headers)).raise_for_status()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            self._lose(str(error).splitlines()[0] if str(error) else type(error).__name__)
        else:
            self.delivered += 1

    def _lose(self, reason: str) -> None:
        self.lost, self.last_error = self.lost + 1, reason


@asynccontextmanager
async def open_webhook(url: str, key: bytes) -> AsyncIterator[Webhook]:
    """Deliver in the background until the end, and then what is left."""
    transport = RetryTransport(httpx.AsyncHTTPTransport(), retry=policy(RETRIES))
    async with httpx.AsyncClient(transport=transport, timeout=TIMEOUT) as client:
        webhook = Webhook(client, url, key)
        delivering = asyncio.create_task(webhook.run())
        try:
            yield webhook
            await webhook.finish()
        finally:
            delivering.cancel()
            await asyncio.gather(delivering, return_exceptions=True)
