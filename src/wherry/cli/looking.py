"""What `wherry top` looks at: a server over HTTP, or the records of a data folder.

Rule 1: both give the same objects, those of the API's operators' operations, so that what shows
them does not know which one it is.

Rule 2: the speed is what the bytes that are safe have grown by between two looks. So it is that of
all processes together.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wherry.client import AsyncClient
    from wherry.engine import Engine

UNFINISHED, GONE = ("waiting", "receiving", "completing"), ("failed", "expired", "cancelled")
#: How many uploads are looked at, at most.
MOST_UPLOADS, MOST_ENDED = 1000, 20
#: The speed is that of so many seconds.
WINDOW = 10.0

Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Look:
    """What there was at a moment (seconds of `time.monotonic`), as the API answers it.

    `uploads`: unfinished ones, the newest first. `ended`: the newest that ended without a file.
    """

    at: float
    overview: Facts
    uploads: Sequence[Facts]
    ended: Sequence[Facts]


#: Raises what its way of looking raises.
Looking = Callable[[], Awaitable[Look]]


def at_server(client: AsyncClient) -> Looking:
    """Looks raise `ClientError`."""

    async def uploads(states: Sequence[str], most: int) -> Sequence[Facts]:
        page = await client.get(f"/all?state={','.join(states)}&order=newest&limit={most}")
        found: Sequence[Facts] = page["uploads"]
        return found

    async def look() -> Look:
        return Look(
            time.monotonic(),
            await client.get("/overview"),
            await uploads(UNFINISHED, MOST_UPLOADS),
            await uploads(GONE, MOST_ENDED),
        )

    return look


def at_records(engine: Engine) -> Looking:
    """Looks raise `UploadError`."""
    from wherry.cli.engines import OPERATOR  # noqa: PLC0415 - needs the server
    from wherry.core.pages import PageRequest  # noqa: PLC0415
    from wherry.core.upload import State  # noqa: PLC0415
    from wherry.protocols.chunked import operators  # noqa: PLC0415

    async def uploads(states: Sequence[str], most: int) -> Sequence[Facts]:
        wanted, page = frozenset(map(State, states)), PageRequest(None, most, newest=True)
        found = await engine.uploads(OPERATOR, wanted, page, everybody=True)
        positions = await engine.positions(found)
        rendered = (operators.render_upload(each, positions.get(each.id), engine) for each in found)
        return [each.model_dump(mode="json") for each in rendered]

    async def look() -> Look:
        return Look(
            time.monotonic(),
            (await operators.look(OPERATOR, engine)).model_dump(mode="json"),
            await uploads(UNFINISHED, MOST_UPLOADS),
            await uploads(GONE, MOST_ENDED),
        )

    return look


class Speeds:
    """How fast bytes arrive, by the looks of the last seconds. In bytes a second."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, int, dict[str, int]]] = deque()

    def add(self, look: Look) -> None:
        safe = {each["upload_id"]: int(each["received_bytes"]) for each in look.uploads}
        self._looks.append((look.at, int(look.overview["storage"]["used"]), safe))
        while self._looks[0][0] < look.at - WINDOW:
            self._looks.popleft()

    def of_all(self) -> float | None:
        """None: not known, as nothing was looked at before.

        What was deleted hides what has arrived meanwhile, so such a moment does not count.
        """
        grown = seconds = 0.0
        for (then, before, _), (now, after, _) in zip(
            self._looks, list(self._looks)[1:], strict=False
        ):
            if after >= before:
                grown, seconds = grown + after - before, seconds + now - then
        return grown / seconds if seconds else None

    def of(self, upload_id: str) -> float | None:
        """None: not known, as it was not there before."""
        known = [(at, safe[upload_id]) for at, _, safe in self._looks if upload_id in safe]
        if len(known) < 2:
            return None
        (then, before), (now, after) = known[0], known[-1]
        return max(after - before, 0) / (now - then)


def as_object(look: Look, speeds: Speeds) -> dict[str, Any]:
    """What `wherry top --json` prints."""
    return {
        **look.overview,
        "speed": speeds.of_all(),
        "in_flight": [{**each, "speed": speeds.of(each["upload_id"])} for each in look.uploads],
        "ended": list(look.ended),
    }
