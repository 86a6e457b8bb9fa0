"""What limits cost a client that does not know them: requests, bytes thrown away, seconds.

    .venv/bin/python -m bench.chunk_sizes

No network: the plan of both clients on a simulated line of 1 MiB/s, which the requests in flight
share, with 40 ms for a round trip. "early": a refusal is noticed after 64 KiB, as by Python's
client and browsers with HTTP/2; "blind": a refused body is sent to its end. "told": the server has
told the client that 5 MiB pass.
"""

from __future__ import annotations

from dataclasses import dataclass

from wherry.client.backoff import Backoff
from wherry.client.chunk_size import PIECE, ChunkSize
from wherry.client.errors import TooLarge
from wherry.client.plan import Chunk, Plan
from wherry.core.ranges import Range

KiB, MiB = 1 << 10, 1 << 20
LIMITS = (128 * KiB, 256 * KiB, 512 * KiB, MiB, 8 * MiB, None)


@dataclass
class Line:
    rate: float = MiB
    round_trip: float = 0.04
    is_early: bool = True


@dataclass
class Flight:
    chunk: Chunk
    left: float
    is_refused: bool


@dataclass
class Cost:
    requests: int = 0
    thrown_away: int = 0
    seconds: float = 0.0
    longest: float = 0.0


def cost(length: int, limit: int | None, line: Line, size: ChunkSize) -> Cost:
    size.path.is_early = line.is_early
    plan = Plan(length, [Range(0, length)], size, 4, Backoff(300.0))
    spent, now, flying = Cost(), 0.0, list[Flight]()
    answers: list[tuple[float, Flight]] = []  # on their way back
    while not plan.is_done:
        while (chunk := plan.next(now)) is not None:
            is_refused = limit is not None and len(chunk.range) > limit
            body = PIECE if is_refused and line.is_early else len(chunk.range)
            spent.requests += 1
            spent.thrown_away += body if is_refused else 0
            flying.append(Flight(chunk, body, is_refused))
        each = line.rate / max(len(flying), 1)
        sent = min((now + flight.left / each for flight in flying), default=float("inf"))
        then = min([sent, *(at for at, _ in answers)])
        for flight in flying:
            flight.left -= (then - now) * each
        now = then
        for flight in [flight for flight in flying if flight.left < 1]:
            flying.remove(flight)
            answers.append((now + line.round_trip, flight))
        for at, flight in [answer for answer in answers if answer[0] <= now]:
            answers.remove((at, flight))
            spent.longest = max(spent.longest, now - flight.chunk.began)
            if flight.is_refused:
                plan.failed(flight.chunk, TooLarge("no"), now, 1.0)
            else:
                plan.passed(flight.chunk, now)
    spent.seconds = now
    return spent


def main() -> None:
    for length in (6 * MiB, 50 * MiB):
        print(f"{length // MiB} MiB        early                         blind")
        for limit in LIMITS:
            found = [
                cost(length, limit, Line(is_early=early), ChunkSize()) for early in (True, False)
            ]
            named = "no limit" if limit is None else f"{limit // KiB} KiB"
            print(f"{named:>10}" + "".join(f"    {_told(each):26}" for each in found))
    print("told that 5 MiB pass, 50 MiB")
    for rate in (100 * KiB, MiB, 100 * MiB):
        size = ChunkSize()
        size.told(5 * MiB, None)
        spent = cost(50 * MiB, None, Line(rate), size)
        print(f"{rate / KiB:10.0f} KiB/s    {_told(spent)}, longest request {spent.longest:.1f} s")


def _told(spent: Cost) -> str:
    return f"{spent.requests} requests, {spent.thrown_away // KiB} KiB, {spent.seconds:.2f} s"


if __name__ == "__main__":
    main()
