"""One request and its answer, over httpx2: no retries, no decisions.

Rule 1: every failure is a `ClientError`; httpx2's own errors do not leave this module.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping

import httpx2

from wherry.client.answers import Answer
from wherry.client.early import unwatch, watched
from wherry.client.errors import ConnectionLost, NotConnected, TimedOut, UnexpectedAnswer
from wherry.client.rate import Rate

Sent = Callable[[int], None]


async def exchange(  # noqa: PLR0917 - what a request is
    http: httpx2.AsyncClient,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes | None,
    sent: Sent | None,
    via: str | None = None,
    pause: float = 0.0,
    rate: Rate | None = None,
) -> Answer:
    """`pause`: seconds to wait for an early answer, after the first piece of the body.

    `rate`: the limit for all that is sent.
    """
    content: AsyncIterator[bytes] | None = None
    if body is not None:
        headers = {**headers, "content-length": str(len(body))}
        content = watched(body, pause, sent, rate)
    try:
        answer = await http.request(method, url, headers=headers, content=content)
    except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
        raise _not_connected(error, via) from error
    except httpx2.ProxyError as error:
        raise NotConnected(
            f"The proxy {via or 'in between'} refuses the connection ({_words(error)}).",
            "Nothing was sent. Correct the proxy, or name the server in NO_PROXY.",
        ) from error
    except httpx2.TimeoutException as error:
        detail = "No byte moved and no answer came for the whole idle timeout."
        raise TimedOut(detail, retryable=True) from error
    except (httpx2.NetworkError, httpx2.RemoteProtocolError) as error:
        detail = f"The connection broke ({_words(error)})."
        raise ConnectionLost(detail, retryable=True) from error
    except httpx2.HTTPError as error:
        raise UnexpectedAnswer(f"The request failed: {error}.") from error
    finally:
        unwatch()
    fields = {name.lower(): value for name, value in answer.headers.items()}
    return Answer(answer.status_code, fields, answer.content, time.time())


def _not_connected(error: httpx2.HTTPError, via: str | None) -> NotConnected:
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return NotConnected(
            f"The server's certificate is not trusted ({cause.verify_message}).",
            "Nothing was sent. Name the authority that signed it in SSL_CERT_FILE, or use the "
            "name that the certificate is for.",
        )
    if cause is not None:
        return NotConnected(
            f"The server does not speak TLS as this client does ({cause.reason or cause}).",
            "Nothing was sent. Check whether the address begins with http:// or https://, and "
            "its port.",
        )
    through = f" through the proxy {via}" if via else ""
    return NotConnected(
        f"There is no connection to the server{through} ({_words(error)}).",
        "Nothing was sent. Check the address and that the server runs"
        + (", or name the server in NO_PROXY." if via else "."),
        retryable=True,
    )


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
