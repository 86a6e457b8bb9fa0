"""The contract of a catalog about lists: pages that add up, and which records are due."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from wherry.catalog import Catalog
from wherry.core.assessment import Assessment, AssessmentState
from wherry.core.pages import PARTS_ON_PAGE, Cursor, Page, PageRequest
from wherry.core.ranges import Part, PartSet
from wherry.core.upload import UNFINISHED, State, Upload
from wherry.testing.catalog.fixtures import create_whole_upload, new_upload

Ask = Callable[[PageRequest], Awaitable[Page[Upload]]]


async def _walked(ask: Ask, limit: int, newest: bool = False) -> list[list[str]]:
    """The identifiers on each page, from the first page to the last."""
    pages: list[list[str]] = []
    after: Cursor | None = None
    while not pages or after is not None:
        page = await ask(PageRequest(after, limit, newest))
        pages.append([upload.id for upload in page])
        after = page.next
    return pages


def at(name: str, created_at: float, owner: str = "o") -> Upload:
    return replace(new_upload(name, owner=owner), created_at=created_at)


async def pages_add_up_to_the_whole_list(catalog: Catalog) -> None:
    # Three have the same time; their identifiers decide the order.
    for name, created_at, owner in (
        ("c", 2.0, "p"),
        ("a", 2.0, "o"),
        ("b", 2.0, "p"),
        ("z", 1.0, "p"),
        ("d", 3.5, "o"),
    ):
        await catalog.create(at(name, created_at, owner))
    await catalog.update("b", lambda u: u.cancel(4.0))
    await catalog.update("d", lambda u: u.cancel(4.0))
    for limit, pages in (
        (2, [["z", "a"], ["b", "c"], ["d"]]),
        (5, [["z", "a", "b", "c", "d"]]),
        (1, [["z"], ["a"], ["b"], ["c"], ["d"]]),
    ):
        assert await _walked(lambda page: catalog.uploads(None, None, page), limit) == pages
    some = {State.CANCELLED, State.RECEIVING}
    assert await _walked(lambda page: catalog.uploads(some, "p", page), 2) == [["z", "b"], ["c"]]
    cancelled = {State.CANCELLED}
    assert await _walked(lambda page: catalog.uploads(cancelled, None, page), 2) == [["b", "d"]]
    newest = await _walked(lambda page: catalog.uploads(None, None, page), 2, newest=True)
    assert newest == [["d", "c"], ["b", "a"], ["z"]]
    assert await catalog.uploads(set(), None) == []


async def the_next_page_is_right_when_records_come_and_go(catalog: Catalog) -> None:
    for number in range(6):
        await catalog.create(at(f"u{number}", float(number)))
    first = await catalog.uploads(None, None, PageRequest(limit=3))
    assert first.next == Cursor(2.0, "u2")
    await catalog.forget(["u1", "u2", "u3"])
    await catalog.create(at("old", 0.5))
    await catalog.create(at("new", 9.0))
    rest = await catalog.uploads(None, None, PageRequest(first.next, 3))
    assert [upload.id for upload in rest] == ["u4", "u5", "new"]
    assert rest.next is None


async def a_page_with_many_parts_ends_early(catalog: Catalog) -> None:
    many = tuple(Part(2 * n, 2 * n + 1, 7, 1.0) for n in range(PARTS_ON_PAGE // 2))
    for number in range(3):
        new = replace(at(f"u{number}", float(number)), received=PartSet(many))
        await catalog.create(replace(new, limit=1 << 20, length=1 << 20))
    await catalog.create(at("u3", 3.0))
    pages = await _walked(lambda page: catalog.uploads(None, None, page), 10)
    assert pages == [["u0", "u1"], ["u2", "u3"]]
    huge = PartSet(tuple(Part(2 * n, 2 * n + 1, 7, 1.0) for n in range(PARTS_ON_PAGE + 1)))
    await catalog.update("u0", lambda u: replace(u, received=huge))
    pages = await _walked(lambda page: catalog.uploads(None, None, page), 10)
    assert pages == [["u0"], ["u1", "u2", "u3"]]


async def assessments_are_listed_in_pages(catalog: Catalog) -> None:
    for number, name in enumerate(("a", "b", "c")):
        await catalog.create(at(name, 0.0))
        queued = Assessment(f"of-{name}", name, "o", 9.0 - number)
        await catalog.update(name, lambda u: u, queued)
    await catalog.lease_assessment(10.0, lambda a: a.lease("w", 10.0, 20.0))
    first = await catalog.assessments(PageRequest(limit=2))
    assert [found.id for found in first] == ["of-c", "of-b"]
    assert [found.id for found in await catalog.assessments(PageRequest(first.next, 2))] == ["of-a"]
    waiting = {AssessmentState.QUEUED}
    first = await catalog.assessments(PageRequest(limit=1), waiting)
    assert [found.id for found in first] == ["of-b"]
    rest = await catalog.assessments(PageRequest(first.next), waiting)
    assert [found.id for found in rest] == ["of-a"]
    assert await catalog.assessments(states=()) == []


async def due_uploads_are_old_or_dated_in_the_future(catalog: Catalog) -> None:
    for number in range(6):
        await catalog.create(at(f"u{number}", float(number)))
    await catalog.update("u1", lambda u: u.cancel(9.0))

    def due(page: PageRequest) -> Awaitable[Page[Upload]]:
        return catalog.due(UNFINISHED, 2.0, 4.0, page)

    assert await _walked(due, 2) == [["u0", "u2"], ["u5"]]
    assert await _walked(lambda page: catalog.due({State.CANCELLED}, 2.0, 4.0, page), 2) == [["u1"]]
    assert await catalog.ids({State.CANCELLED}) == {"u1"}
    assert await catalog.ids(UNFINISHED) == {"u0", "u2", "u3", "u4", "u5"}


async def due_files_exist_and_are_no_longer_needed(catalog: Catalog) -> None:
    for number, name in enumerate(("queued", "done", "none", "gone", "new")):
        await create_whole_upload(catalog, name)
        await catalog.update(name, lambda u, n=number: replace(u, created_at=float(n)))  # type: ignore[misc]
        queued = None if name == "none" else Assessment(f"of-{name}", name, "o", -float(number))
        await catalog.update(name, lambda u: u.begin_completion("c", 1.0, 2.0))
        await catalog.update(name, lambda u: u.complete("c", None), queued)
    await create_whole_upload(catalog, "unfinished")
    for name in ("new", "gone", "done"):
        await catalog.lease_assessment(10.0, lambda a: a.lease("w", 10.0, 20.0))
        await catalog.update_assessment(f"of-{name}", lambda a: a.finish("w", 11.0, {}))
    await catalog.update("gone", lambda u: u.discard(12.0))
    assert await _walked(lambda page: catalog.due_files(3.0, page), 1) == [["done"], ["none"]]
    assert await _walked(lambda page: catalog.due_files(4.0, page), 9) == [["done", "none", "new"]]


async def due_records_are_in_the_order_of_their_files_deletion(catalog: Catalog) -> None:
    for name, discarded_at in (("a", 3.0), ("b", 1.0), ("c", 2.0), ("d", None), ("e", 9.0)):
        new = replace(at(name, 0.0), state=State.COMPLETE, discarded_at=discarded_at)
        await catalog.create(new)
    assert await _walked(lambda page: catalog.due_records(3.0, page), 2) == [["b", "c"], ["a"]]
