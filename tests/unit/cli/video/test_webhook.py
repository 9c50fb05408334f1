"""Events arrive signed and in order, and a receiver that fails costs no frame."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from app.cli.output import CommandError
from app.cli.video import webhook
from app.cli.video.webhook import Webhook, read_secret

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()


def delivered_to(receive: Callable[[httpx.Request], httpx.Response], events: int) -> Webhook:
    """Send that many events, and wait until each was delivered or given up."""

    async def deliver() -> Webhook:
        async with httpx.AsyncClient(transport=httpx.MockTransport(receive)) as client:
            sender = Webhook(client, "https://receiver.example/hook", read_secret(SECRET))
            for number in range(events):
                sender.send({"event": "start", "track": number})
            task = asyncio.create_task(sender.run())
            await sender.finish()
            task.cancel()
            return sender

    return asyncio.run(deliver())


def test_each_event_is_signed_with_its_id_and_time() -> None:
    got: list[httpx.Request] = []

    def receive(request: httpx.Request) -> httpx.Response:
        got.append(request)
        return httpx.Response(204)

    sender = delivered_to(receive, 3)
    assert (sender.delivered, sender.lost) == (3, 0)
    assert [json.loads(each.content)["track"] for each in got] == [0, 1, 2]
    assert len({each.headers["webhook-id"] for each in got}) == 3
    for each in got:
        signed = f"{each.headers['webhook-id']}.{each.headers['webhook-timestamp']}.".encode() + each.content
        expected = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
        assert each.headers["webhook-signature"] == f"v1,{expected}"


def test_what_a_receiver_refuses_or_is_too_slow_for_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "MAX_WAITING", 4)
    sender = delivered_to(lambda _: httpx.Response(410), 6)
    assert (sender.delivered, sender.lost) == (0, 6)
    assert "410" in sender.last_error


@pytest.mark.parametrize("secret", [None, "", "whsec_c2hvcnQ=", "whsec_not base64 " * 4])
def test_a_secret_that_is_too_short_is_refused_with_a_way_to_make_one(secret: Any) -> None:
    with pytest.raises(CommandError, match="openssl rand"):
        read_secret(secret)
