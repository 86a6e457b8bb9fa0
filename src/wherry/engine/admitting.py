"""The waiting line: whoever asks for a place gets one as soon as there is room.

Rule 1: there is one way in. Every upload stands in the line, most of them for a
moment only, so that nobody is let in past somebody who waits.

Rule 2: space before records. A place on disk is reserved before the record says that
the upload has one.

Rule 3: the folder of an upload that waits is deleted only when the upload ends:
another process may be letting it in at this moment.
"""

from __future__ import annotations

import asyncio

from wherry.core.admission import Line, Place, ask_again
from wherry.core.errors import DiskFull, InLine
from wherry.core.upload import GONE, Upload
from wherry.engine.ground import Ground


class Admitting:
    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._one_at_a_time = asyncio.Lock()

    async def enter(self, upload_id: str) -> Upload:
        """The upload, let in if it is its turn."""
        async with self._one_at_a_time:
            upload = await self._ground.catalog.load(upload_id)
            if upload.queued_at is None:  # whoever was here before has let it in
                return upload
            changed = await self._advance(entering=upload_id)
        return changed.get(upload_id, upload)

    async def advance(self) -> None:
        """Let in whoever has room now; who was let in and sent nothing makes some."""
        async with self._one_at_a_time:
            await self._advance()

    async def _advance(self, entering: str | None = None) -> dict[str, Upload]:
        ground, now = self._ground, self._ground.clock()
        limits = ground.settings.limits
        line = await ground.catalog.line(now)
        for upload_id in line.unused:
            await self._forfeit(upload_id, now)
        reserved = [place.upload_id for place in await self._reserve(line)]
        # A crash here: a place on disk for somebody who waits. It is found at the next look.

        def choose(line: Line) -> list[str]:
            may = {place.upload_id for place in line.turns(limits)}
            return [upload_id for upload_id in reserved if upload_id in may]

        if not reserved:
            return {}
        since = {place.upload_id: place.since for place in line.places}
        let_in = await ground.catalog.advance(now, choose, lambda u: u.let_in(now + limits.turn))
        for upload in let_in:
            if upload.id == entering:  # whoever asks is told, and says so
                continue
            self._ground.say("let-in", upload, waited=max(now - since[upload.id], 0.0))
        return {upload.id: upload for upload in let_in}

    async def _reserve(self, line: Line) -> list[Place]:
        """Those whose turn it is, with their place on disk."""
        ground, limits = self._ground, self._ground.settings.limits
        if not line.places:
            return []
        space = await ground.on_thread(ground.storage.space)
        free = space.free - limits.min_free
        turns = line.turns(limits, free)
        if len(turns) < len(line.turns(limits)):  # for want of disk space; who has it needs none
            placed = await ground.on_thread(lambda: dict(ground.storage.unfinished()))
            turns = line.turns(limits, free, placed)
        reserved = []
        for place in turns:
            if not place.comes_back:
                try:
                    # If it is cancelled meanwhile, the sweep finds what is made here.
                    await ground.on_thread(ground.storage.reserve, place.upload_id, place.bytes)
                except DiskFull:  # others write to the disk too: it keeps its place in the line
                    self._ground.say("not-reserved", upload_id=place.upload_id, bytes=place.bytes)
                    break
            reserved.append(place)
        return reserved

    async def _forfeit(self, upload_id: str, now: float) -> None:
        ground = self._ground
        upload = await ground.catalog.update(upload_id, lambda u: u.forfeit(now))
        if upload.state in GONE:
            # A crash here leaves the folder of an expired upload: the sweep deletes it.
            await ground.on_thread(ground.storage.delete, upload_id)
            self._ground.say("turn-missed", upload)

    async def positions(self) -> dict[str, int]:
        """By upload: 1 is next."""
        return (await self._ground.catalog.line(self._ground.clock())).positions()

    async def refusal(self, upload_id: str) -> InLine:
        """What to tell somebody who sends bytes before it is its turn."""
        position = (await self.positions()).get(upload_id)
        return InLine(position, ask_again(position))
