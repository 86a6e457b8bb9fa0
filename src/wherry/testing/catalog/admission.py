"""What a catalog promises about room: counted and taken in one transaction."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from wherry.catalog import Catalog
from wherry.core.admission import Usage
from wherry.core.errors import NoRoom
from wherry.core.upload import State, Upload
from wherry.testing.catalog.scene import let_in, new_upload, together


async def usage_counts_what_is_open_and_reserved(catalog: Catalog) -> None:
    def held(name: str, owner: str, limit: int, until: float, state: State) -> Upload:
        return replace(new_upload(name, owner=owner), limit=limit, slot_until=until, state=state)

    for upload in (
        held("busy", "a", 1, 20.0, State.RECEIVING),
        held("idle", "a", 10, 10.0, State.RECEIVING),
        held("completing", "b", 100, 20.0, State.COMPLETING),
        held("waiting", "a", 1000, 20.0, State.WAITING),
        held("complete", "a", 10000, 20.0, State.COMPLETE),
    ):
        await catalog.create(upload, 0.0, let_in)
    assert await catalog.usage(10.0) == Usage(open=2, reserved=111)
    assert await catalog.usage(10.0, "a") == Usage(2, 111, 1, 11)
    assert await catalog.usage(9.0, "a") == Usage(3, 111, 2, 11)
    assert await catalog.usage(20.0, "c") == Usage(0, 111, 0, 0)

    seen = []

    def look(upload: Upload, usage: Usage) -> Upload:
        seen.append(usage)
        return upload

    await catalog.admit("busy", 10.0, look)
    await catalog.create(new_upload("new", owner="b"), 10.0, look)
    assert seen == [Usage(1, 110, 0, 10), Usage(2, 111, 1, 100)]


async def no_two_take_the_last_place(catalog: Catalog) -> None:
    def admit(upload: Upload, usage: Usage) -> Upload:
        if usage.open_of_owner >= 3 or usage.reserved + upload.limit > 700:
            raise NoRoom("places", 1)
        return upload.keep_slot(10.0)

    admitted = []

    async def one(number: int) -> None:
        try:
            new = new_upload(f"u{number}", owner=f"o{number % 3}")
            admitted.append(await catalog.create(new, 0.0, admit))
        except NoRoom:
            return

    await together(*(partial(one, number) for number in range(50)))
    assert len(admitted) == 7
    assert {upload.id for upload in await catalog.uploads()} == {u.id for u in admitted}
    for owner in ("o0", "o1", "o2"):
        taken = await catalog.usage(0.0, owner)
        assert taken.open_of_owner <= 3
    assert (await catalog.usage(0.0)).reserved == 700


async def the_same_file_again_is_the_same_upload(catalog: Catalog) -> None:
    def never(upload: Upload, usage: Usage) -> Upload:
        raise AssertionError("asked whether to let in what is in")

    first = replace(new_upload("first"), fingerprint="f")
    unknown = replace(first, id="unknown", length=None)
    for new in (first, unknown):
        assert await catalog.create(new, 0.0, let_in) == new
        assert await catalog.create(replace(new, id="again"), 0.0, never) == new
    for number, other in enumerate(
        (
            replace(first, owner="another"),
            replace(first, length=99),
            replace(first, limit=101),
            replace(first, fingerprint="g"),
            replace(first, fingerprint=None),
            replace(first, fingerprint=None),
        )
    ):
        new = replace(other, id=f"other{number}")
        assert await catalog.create(new, 0.0, let_in) == new
    await catalog.update("first", lambda u: u.cancel(1.0))
    anew = replace(first, id="anew")
    assert await catalog.create(anew, 0.0, let_in) == anew

    found: list[Upload] = []

    async def once_more(number: int) -> None:
        new = replace(first, id=f"n{number}", fingerprint="many")
        found.append(await catalog.create(new, 0.0, let_in))

    await together(*(partial(once_more, number) for number in range(20)))
    assert len({upload.id for upload in found}) == 1
