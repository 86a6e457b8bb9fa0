"""Many files, folders, and what is checked before and told while they go up, in a real browser."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.e2e.conftest import make_file, sha256
from tests.page.conftest import MiB

from wherry.testing.server import Server, serving

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page, Route

#: Bytes that go in chunks, because they are more than one request carries at first.
LARGE = 6 * MiB
#: The uploads of which the browser keeps a file, and whether that is by a handle.
KEPT = """async () => {
  if ((await indexedDB.databases()).length === 0) return []
  const done = (request) => new Promise((resolve) => {
    request.onsuccess = () => resolve(request.result)
  })
  const database = await done(indexedDB.open('wherry'))
  const records = await done(database.transaction('kept').objectStore('kept').getAll())
  database.close()
  return records.filter(({ uploadId }) => uploadId).map(({ handle }) => handle !== null)
}"""
#: A dialog in which a file of 6 MiB is chosen, and a disk without room for copies.
CHOSEN_BY_HANDLE = """
navigator.storage.estimate = async () => ({ quota: 0, usage: 0 })
window.showOpenFilePicker = async () => {
  const folder = await navigator.storage.getDirectory()
  const handle = await folder.getFileHandle('handle.bin', { create: true })
  const writable = await handle.createWritable()
  await writable.write(new Uint8Array(6 << 20).fill(7))
  await writable.close()
  return [handle]
}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("many") / "data"
    with serving(data, assessment=False, chunk_size="128KiB", max_size=8 * MiB) as server:
        yield server


def photos(folder: Path, count: int) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{folder.name}-{number:04}.jpg" for number in range(count)]
    for path in paths:
        path.write_bytes(path.name.encode() * 10)
    return paths


def choose(page: Page, *files: Path, label: str = "Files") -> None:
    page.get_by_label(label, exact=True).set_input_files(files)


def drop(page: Page, *paths: Path) -> None:
    """As from the desktop: with folders."""
    devtools = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        event = {"type": kind, "x": 300, "y": 300, "data": data}
        devtools.send("Input.dispatchDragEvent", event)


def card(page: Page, name: str) -> Locator:
    return page.get_by_role("article", name=name)


def status(page: Page) -> Locator:
    return page.get_by_role("region", name="All files")


def files_of(server: Server) -> set[str]:
    return {sha256(path) for path in (server.data / "files").iterdir()}


def focused(page: Page) -> str:
    text: str = page.evaluate("document.activeElement.textContent")
    return text


class Hold:
    """Holds all chunks until it is released."""

    def __init__(self, page: Page, pattern: str = "**/chunk?*") -> None:
        self._page, self._pattern = page, pattern
        self.held: list[Route] = []
        page.route(pattern, self._hold)

    def _hold(self, route: Route) -> None:
        self.held.append(route)

    def wait(self) -> None:
        while not self.held:
            self._page.wait_for_timeout(10)

    def let_go(self) -> None:
        """Of what comes from now on. What is held never arrives."""
        self._page.unroute(self._pattern)

    def release(self) -> None:
        self.let_go()
        while self.held:
            self.held.pop().continue_()


def test_a_thousand_files_are_a_list_of_limited_height_that_the_keyboard_walks(
    page: Page, server: Server, tmp_path: Path
) -> None:
    page.goto(server.url)
    hold = Hold(page, "**/upload")
    choose(page, *photos(tmp_path / "thousand", 1000))
    hold.wait()
    status(page).get_by_text("0 of 1000 files uploaded").wait_for()
    assert page.locator("li[aria-setsize='1000']").count() < 30
    assert page.evaluate("document.documentElement.scrollHeight") < 1300

    page.get_by_role("button", name="thousand-0000.jpg").first.focus()
    seen = set[str]()
    for _ in range(60):
        seen.add(focused(page)[:17])
        page.keyboard.press("Tab")
    assert "thousand-0040.jpg" in seen

    page.get_by_role("button", name="Cancel all").click()
    page.get_by_role("button", name="Yes, delete").click()
    page.get_by_role("button", name="thousand-0500.jpg").wait_for(state="detached")
    status(page).get_by_text("0 of 0 files uploaded").wait_for()


def test_sixty_files_go_up_and_are_folded_into_one_row(
    page: Page, server: Server, tmp_path: Path
) -> None:
    paths = photos(tmp_path / "sixty", 60)
    page.goto(server.url)
    choose(page, *paths)
    status(page).get_by_text("60 of 60 files uploaded").wait_for()
    assert {sha256(path) for path in paths} <= files_of(server)
    assert page.locator(".list li").count() == 1
    page.get_by_role("button", name="60 files uploaded").press("Enter")
    page.get_by_role("button", name="sixty-0000.jpg").press("Enter")
    row = card(page, "sixty-0000.jpg")
    row.get_by_text("The whole file has arrived.").wait_for()
    row.get_by_role("link", name="Download the file").wait_for()
    page.get_by_role("button", name="Clear finished").press("Enter")
    status(page).wait_for(state="detached")
    assert focused(page) == "Wherry"


def test_all_are_paused_and_resumed_with_the_focus_on_the_button(
    page: Page, server: Server, tmp_path: Path
) -> None:
    files = [make_file(tmp_path / f"paused-{n}.bin", LARGE, seed=n) for n in range(4)]
    page.goto(server.url)
    hold = Hold(page)
    choose(page, *files)
    hold.wait()
    page.get_by_role("button", name="Pause all").focus()
    page.keyboard.press("Enter")
    status(page).get_by_text("Paused").wait_for()
    assert focused(page).startswith("Resume all")
    hold.held.clear()  # the requests were ended
    hold.release()
    page.keyboard.press("Enter")
    assert focused(page).startswith("Pause all")
    status(page).get_by_text("4 of 4 files uploaded").wait_for()
    assert {sha256(path) for path in files} <= files_of(server)


def test_pausing_one_upload_keeps_the_focus_on_the_button_that_resumes_it(
    page: Page, server: Server, tmp_path: Path
) -> None:
    file = make_file(tmp_path / "focus.bin", LARGE, seed=70)
    page.goto(server.url)
    hold = Hold(page)
    choose(page, file)
    hold.wait()
    page.get_by_role("button", name="Pause").focus()
    page.keyboard.press("Enter")
    card(page, "focus.bin").get_by_text("Nothing is sent until you resume.").wait_for()
    assert focused(page) == "Resume focus.bin"
    hold.held.clear()
    hold.release()
    page.keyboard.press("Space")
    card(page, "focus.bin").get_by_text("The whole file has arrived.").wait_for()
    page.wait_for_function("document.activeElement.textContent.startsWith('Remove from list')")


def test_a_dropped_folder_goes_up_with_all_that_is_in_it(
    page: Page, server: Server, tmp_path: Path
) -> None:
    trip = tmp_path / "trip"
    paths = [*photos(trip / "day1", 130), *photos(trip / "day2" / "beach", 3)]
    (trip / "nothing").mkdir()
    alone = make_file(tmp_path / "alone.jpg", 1000, seed=71)
    page.goto(server.url)
    drop(page, trip, alone)
    status(page).get_by_text("134 of 134 files uploaded").wait_for()
    page.get_by_text("“trip/nothing” is an empty folder.").wait_for()
    assert {sha256(path) for path in [*paths, alone]} <= files_of(server)
    page.get_by_role("button", name="134 files uploaded").click()
    page.get_by_role("button", name="trip/day1/day1-0000.jpg").wait_for()


def test_a_chosen_folder_goes_up_with_the_paths_of_its_files(
    page: Page, server: Server, tmp_path: Path
) -> None:
    paths = photos(tmp_path / "chosen" / "inner", 2)
    page.goto(server.url)
    page.get_by_role("button", name="Choose a folder").wait_for()
    choose(page, tmp_path / "chosen", label="Folder")
    card(page, "chosen/inner/inner-0000.jpg").wait_for()
    status(page).get_by_text("2 of 2 files uploaded").wait_for()
    assert {sha256(path) for path in paths} <= files_of(server)
    with closing(sqlite3.connect(server.data / "catalog.sqlite")) as catalog:
        [told] = catalog.execute("SELECT metadata FROM uploads WHERE filename = 'inner-0001.jpg'")
    assert json.loads(told[0]) == {"relative_path": "chosen/inner/inner-0001.jpg"}


def test_a_pasted_picture_goes_up(page: Page, server: Server) -> None:
    page.goto(server.url)
    page.evaluate(
        "() => { const held = new DataTransfer();"
        " held.items.add(new File(['picture'], 'pasted.png'));"
        " document.body.dispatchEvent("
        "   new ClipboardEvent('paste', { clipboardData: held, bubbles: true })) }"
    )
    pasted = card(page, "pasted.png")
    pasted.get_by_text("The whole file has arrived.").wait_for()


def test_what_is_too_large_is_refused_before_a_byte_goes(
    page: Page, server: Server, tmp_path: Path
) -> None:
    page.goto(server.url)
    page.get_by_text("At most 8 MiB for each file.").wait_for()
    sent = list[str]()
    page.on("request", lambda request: sent.append(request.method))
    choose(page, make_file(tmp_path / "large.bin", 8 * MiB + 1))
    refused = card(page, "large.bin")
    refused.get_by_text("This file is too large for the server: the limit is 8 MiB.").wait_for()
    choose(page, make_file(tmp_path / "exact.bin", 8 * MiB, seed=72))
    exact = card(page, "exact.bin")
    exact.get_by_text("The whole file has arrived.").wait_for()
    assert sent.count("POST") > 0
    refused.get_by_role("button", name="Remove from list").click()
    refused.wait_for(state="detached")


def test_a_type_that_is_not_accepted_is_told_and_the_user_may_know_better(
    page: Page, tmp_path: Path
) -> None:
    png = tmp_path / "picture.txt"
    png.write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 100)
    with serving(tmp_path / "data", assessment=False, allowed_types="image/*") as server:
        page.goto(server.url)
        page.get_by_text("Accepted: images.").wait_for()
        choose(page, png)
        text = card(page, "picture.txt")
        text.get_by_text("does not accept (text/plain)").wait_for()
        assert list((server.data / "files").iterdir()) == []
        text.get_by_role("button", name="Upload anyway").click()
        text.get_by_text("The whole file has arrived.").wait_for()


def test_the_same_file_chosen_twice_is_noticed(page: Page, server: Server, tmp_path: Path) -> None:
    file = make_file(tmp_path / "twice.bin", 1000, seed=73)
    page.goto(server.url)
    choose(page, file)
    card(page, "twice.bin").get_by_text("The whole file has arrived.").wait_for()
    choose(page, file)
    page.get_by_text("“twice.bin” is already in the list.").wait_for()
    assert page.get_by_role("article").count() == 1


def test_offline_is_told_at_once_and_the_upload_goes_on_by_itself(
    page: Page, server: Server, tmp_path: Path
) -> None:
    file = make_file(tmp_path / "offline.bin", LARGE, seed=74)
    page.goto(server.url)
    hold = Hold(page)
    choose(page, file)
    hold.wait()
    page.context.set_offline(True)
    page.get_by_text("You are offline.").wait_for()
    hold.held.clear()  # the requests have failed
    hold.release()
    card(page, "offline.bin").get_by_text("The upload continues automatically").wait_for()
    assert page.get_by_text("a second").count() == 0
    page.context.set_offline(False)
    page.get_by_text("You are offline.").wait_for(state="detached")
    card(page, "offline.bin").get_by_text("The whole file has arrived.").wait_for()
    assert sha256(file) in files_of(server)


def reload_in_mid_upload(page: Page, hold: Hold, kept: list[bool]) -> None:
    """When a file is on its way, and the browser keeps this of it."""
    page.on("dialog", lambda dialog: dialog.accept())
    hold.wait()
    while page.evaluate(KEPT) != kept:
        page.wait_for_timeout(50)
    hold.let_go()
    page.reload()


def test_after_a_reload_a_small_file_goes_on_by_itself(
    page: Page, server: Server, tmp_path: Path
) -> None:
    file = make_file(tmp_path / "back.bin", LARGE, seed=75)
    page.goto(server.url)
    hold = Hold(page)
    choose(page, file)
    reload_in_mid_upload(page, hold, kept=[False])
    card(page, "back.bin").get_by_text("The whole file has arrived.").wait_for()
    assert sha256(file) in files_of(server)
    while page.evaluate(KEPT) != []:
        page.wait_for_timeout(50)


def test_after_a_reload_a_file_with_a_handle_goes_on_by_itself(page: Page, server: Server) -> None:
    page.add_init_script(CHOSEN_BY_HANDLE)
    page.goto(server.url)
    hold = Hold(page)
    page.get_by_role("button", name="Choose files").click()
    reload_in_mid_upload(page, hold, kept=[True])
    card(page, "handle.bin").get_by_text("The whole file has arrived.").wait_for()
    assert hashlib.sha256(b"\7" * LARGE).hexdigest() in files_of(server)


def test_a_name_that_steers_the_direction_of_text_is_shown_as_it_is(
    page: Page, server: Server, tmp_path: Path
) -> None:
    page.goto(server.url)
    choose(page, make_file(tmp_path / "photo\u202egpj.exe", 1000))
    page.get_by_role("heading", name="photo‹U+202E›gpj.exe").wait_for()
    card(page, "photo‹U+202E›gpj.exe").get_by_text(
        "it contains an invisible control character"
    ).wait_for()
