"""One attempt to deliver: a signed request, as Standard Webhooks says, and what its answer means.

Rule 1: the body is the recorded payload, byte for byte. Only the time of the attempt and the
signature differ from one attempt to the next.

Rule 2: of the answer, only the status and `Retry-After` are read. Redirects are not followed.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Self

import httpx2
from anyio import fail_after
from standardwebhooks import Webhook

from wherry import __version__
from wherry.core.webhooks import LONGEST_PAUSE, Delivery
from wherry.webhooks.guard import AddressRefused, addresses_of

#: How long an attempt may take in all, in seconds.
TIMEOUT = 15.0
#: The statuses that ask for a pause.
PAUSING = (429, 503)
GONE = 410


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attempt. `problem`: why it has failed; None: it is delivered.

    `is_gone`: the endpoint wants nothing more. `pause`: how long it wants to be left alone, in
    seconds; None: it does not say.
    """

    problem: str | None = None
    is_gone: bool = False
    pause: float | None = None


class Requests:
    """Sends deliveries. `secrets`: of the signatures, one for each. `date`: in Unix seconds."""

    def __init__(
        self, secrets: tuple[str, ...], allow_private: bool, date: Callable[[], float]
    ) -> None:
        self._signers = [Webhook(secret) for secret in secrets]
        self._allow_private = allow_private
        self._date = date
        # The environment may name an authority of the operator's own (SSL_CERT_FILE), but no
        # proxy: a proxy would resolve the name again.
        self._client = httpx2.AsyncClient(
            verify=httpx2.create_ssl_context(),
            trust_env=False,
            follow_redirects=False,
            timeout=TIMEOUT,
            # A connection is verified for one host name, and addressed by one address, which
            # several names may have. So none is used again.
            limits=httpx2.Limits(max_keepalive_connections=0),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def send(self, delivery: Delivery) -> Outcome:
        try:
            with fail_after(TIMEOUT):
                return await self._send(delivery)
        except TimeoutError:
            return Outcome(f"no answer within {TIMEOUT:.0f} seconds")
        except AddressRefused as refused:
            return Outcome(str(refused))
        except (OSError, UnicodeError) as error:
            return Outcome(f"the host was not found: {error}")
        except (httpx2.HTTPError, httpx2.InvalidURL, ssl.SSLError) as error:
            return Outcome(f"{type(error).__name__}: {error}".rstrip(": "))

    async def _send(self, delivery: Delivery) -> Outcome:
        url = httpx2.URL(delivery.url)
        port = url.port or (443 if url.scheme == "https" else 80)
        addresses = await addresses_of(url.host, port, self._allow_private)
        headers = self.headers(delivery) | {"host": url.netloc.decode("ascii")}
        for address in addresses[:-1]:
            try:
                return await self._post(delivery, url.copy_with(host=address), headers, url.host)
            except httpx2.ConnectError:
                continue
        last = url.copy_with(host=addresses[-1])
        return await self._post(delivery, last, headers, url.host)

    def headers(self, delivery: Delivery) -> dict[str, str]:
        now = datetime.fromtimestamp(self._date(), UTC)
        signed = [signer.sign(delivery.id, now, delivery.payload) for signer in self._signers]
        return {
            "content-type": "application/json",
            "user-agent": f"wherry/{__version__}",
            "webhook-id": delivery.id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(signed),
        }

    async def _post(
        self, delivery: Delivery, to: httpx2.URL, headers: dict[str, str], host: str
    ) -> Outcome:
        """Send it to this address; the certificate must be one of `host`."""
        extensions = {"sni_hostname": host}
        body = delivery.payload.encode()
        async with self._client.stream(
            "POST", to, content=body, headers=headers, extensions=extensions
        ) as answer:
            return self.outcome_of(answer.status_code, answer.headers.get("retry-after"))

    def outcome_of(self, status: int, retry_after: str | None = None) -> Outcome:
        if 200 <= status < 300:
            return Outcome()
        problem = f"the endpoint answered {status}"
        if status == GONE:
            return Outcome(problem, is_gone=True)
        if 300 <= status < 400:
            problem += "; redirects are not followed"
        return Outcome(problem, pause=self._pause(retry_after) if status in PAUSING else None)

    def _pause(self, retry_after: str | None) -> float | None:
        """Seconds, from a number of them or from a date; None: there is neither."""
        text = (retry_after or "").strip()
        if text.isascii() and text.isdigit() and len(text) < 10:
            seconds = float(text)
        else:
            try:
                seconds = parsedate_to_datetime(text).timestamp() - self._date()
            except (ValueError, OverflowError):
                return None
        return min(max(seconds, 0.0), LONGEST_PAUSE)
