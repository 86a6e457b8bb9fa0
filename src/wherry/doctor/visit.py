"""An examination by a browser: which request comes next, and what all of them have measured.

The page only makes requests. With each question it reports all that it has made so far, and gets
the next one. So the search, the diagnosis and the letter are the same as those of the terminal,
and nothing is kept between two questions. Pure.

Rule 1: the requests and their answers are followed from the beginning, in their order. A request
that does not follow from those before it is an error, and no measurement.

Rule 2: what a browser cannot find out stays None.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from wherry.doctor.limiting import FORM, SMALL, TELLING, TYPE, Limiting
from wherry.doctor.measured import BROWSER, Cors, Limit, Measured, Spent, Tls
from wherry.doctor.reading import (
    allows,
    describe,
    find_proxies,
    find_who_refuses,
    is_answer_collected,
    is_authorised,
    is_filters_page,
    is_refusal_of_size,
    is_wherrys,
    read_probe,
    skew,
)
from wherry.doctor.reply import End, Reply
from wherry.doctor.spending import MOST_BYTES, MOST_SECONDS

#: A small request may take so many seconds.
_SMALL_SECONDS = 8.0
#: Seconds in which a slow answer comes, and what must be left to ask for one.
_DRIP, _DRIP_NEEDS = 1, 4.0
#: A body that took at least so long to send shows whether it was collected on the way.
_SLOW = 1.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """A request that the page is to make: a POST to the probe, with a body of `size` bytes.

    `drip`: seconds in which the answer is to come. `seconds`: how long all of it may take.
    """

    size: int
    content_type: str
    drip: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Made:
    """A request that the page has made. `began`: seconds after the beginning of the examination."""

    size: int
    began: float
    reply: Reply


@dataclass(frozen=True, slots=True)
class Visit:
    """`begun`: when the examination began, by the clock of the browser, in seconds since 1970.

    `url`: of the API, as the browser sees it. `protocol`: of the requests (ALPN), if it is known.
    """

    url: str
    begun: float
    protocol: str | None
    made: Sequence[Made]


class NotWanted(Exception):
    """The request of this index does not follow from those before it."""

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.index = index


class _Next(Exception):
    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted


def follow(visit: Visit, at: str, version: str) -> Wanted | Measured:
    """The next request, or, when there is none, what was measured. Raises `NotWanted`.

    `at`: when that is, as text. `version`: of the Wherry that answers.
    """
    following = _Following(visit)
    try:
        measured = _measure(visit, following, Measured(visit.url, at, version, BROWSER))
    except _Next as found:
        return found.wanted
    if following.count < len(visit.made):
        raise NotWanted(following.count)
    return measured


class _Following:
    """Takes the answers of requests that were made, in their order."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self.count = 0
        self.bytes = 0
        self.seconds = 0.0
        self.kind = TYPE
        self.telling: list[Reply] = []  # to bodies by which it shows whether they are collected

    def ask(self, size: int, seconds: float, drip: int = 0) -> Reply:
        """Raises `_Next` for the first request that was not yet made."""
        if self.count == len(self._visit.made):
            raise _Next(Wanted(size, self.kind[1], drip, seconds))
        made = self._visit.made[self.count]
        if made.size != size:
            raise NotWanted(self.count)
        self.count += 1
        self.bytes += size
        self.seconds = max(self.seconds, made.began + made.reply.over_at)
        return made.reply

    def usual(self) -> Reply:
        """As `Probing.small` does it."""
        found = self.ask(SMALL, _SMALL_SECONDS)
        if is_filters_page(found):
            self.kind = FORM
            reply = self.ask(SMALL, _SMALL_SECONDS)
            if is_wherrys(reply):
                found = reply
            else:
                self.kind = TYPE
        return self.ask(SMALL, _SMALL_SECONDS) if found.end is End.ANSWER else found

    def send(self, size: int) -> Reply | None:
        if self.seconds_left() < 1.0:
            return None
        reply = self.ask(size, self.seconds_left())
        if size >= TELLING:
            self.telling.append(reply)
        return reply

    def bytes_left(self) -> int:
        return MOST_BYTES - self.bytes

    def seconds_left(self) -> float:
        return max(MOST_SECONDS - self.seconds, 0.0)


def _measure(visit: Visit, following: _Following, measured: Measured) -> Measured:
    usual = following.usual()
    asked_at = visit.begun + following.seconds
    place = urlsplit(visit.url)
    measured = replace(
        measured,
        is_wherry=is_wherrys(usual),
        is_authorised=is_authorised(usual),
        status=usual.status,
        skew=skew(usual, asked_at),
        tls=Tls(place.scheme == "https"),
        host_sent=place.netloc,
        host_arrived=(read_probe(usual) or {}).get("host"),
    )
    if usual.end is not End.ANSWER:
        measured = replace(measured, problem=describe(usual))
    else:
        limiting = Limiting(following.send, following.bytes_left, following.seconds_left)
        limiting.begin(usual)
        limit, refusal = limiting.find()
        measured = _with_limit(measured, usual, limit, refusal, visit.protocol)
        collected = [_is_collected(reply, limiting.trip) for reply in following.telling]
        known = [each for each in collected if each is not None]
        measured = replace(measured, buffers_request=known[-1] if known else None)
        if measured.is_authorised and following.seconds_left() > _DRIP_NEEDS:
            slow = following.ask(1, _DRIP_NEEDS, drip=_DRIP)
            measured = replace(measured, buffers_answer=is_answer_collected(slow))
    spent = Spent(following.bytes, following.count, round(following.seconds, 2))
    return replace(measured, spent=spent)


def _with_limit(
    measured: Measured, usual: Reply, limit: Limit, refusal: Reply | None, protocol: str | None
) -> Measured:
    proxies = find_proxies(usual, refusal)
    cors, limit_over_2 = measured.cors, None
    if refusal is not None and limit.refusal is not None:
        by = find_who_refuses(refusal, proxies)
        limit = replace(limit, refusal=replace(limit.refusal, by=by))
        place = urlsplit(measured.url)
        origin = f"{place.scheme}://{place.netloc}"
        if is_refusal_of_size(refusal):
            cors = Cors(origin, None, allows(refusal, origin))
            limit_over_2 = limit.refuses if protocol == "h2" else None
    is_known = protocol == "h2" or (protocol == "http/1.1" and measured.tls.used)
    return replace(
        measured,
        limit=limit,
        proxies=proxies,
        cors=cors,
        protocol=protocol,
        http2=protocol == "h2" if is_known else None,
        limit_over_2=limit_over_2,
    )


def _is_collected(reply: Reply, trip: float) -> bool | None:
    """Whether a body that was sent slowly arrived quickly. None: neither can be said."""
    probe = read_probe(reply)
    took = reply.at - trip
    if probe is None or probe["first_byte"] is None or took < _SLOW:
        return None
    arrival = probe["last_byte"] - probe["first_byte"]
    if arrival < took / 5:
        return True
    return False if arrival > took / 2 else None
