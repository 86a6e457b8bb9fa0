"""The page in a real browser, in front of a real server."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import httpx2
import uvicorn
from fastapi import APIRouter, Cookie, FastAPI, HTTPException
from tests.e2e.conftest import make_file, sha256
from tests.page.conftest import Complaints, MiB

from wherry.auth import Keys, keys_file
from wherry.protocols.page import page_router
from wherry.router import FinishedFile, chunked_upload_router
from wherry.testing.nginx import nginx, require_nginx
from wherry.testing.server import Server, serving

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page, Route

#: Many small chunks, so that there is a middle to stop in.
SMALL = {"assessment": False, "chunk_size": "128KiB"}
#: Bytes that go in chunks, because they are more than one request carries at first.
LARGE = 6 * MiB
#: As in a window that forbids storage.
KEEPS_NOTHING = "Object.defineProperty(window, 'indexedDB', { value: undefined })"
#: As in browsers other than Chromium.
NO_HANDLES = "delete window.showOpenFilePicker"


def choose(page: Page, *files: Path) -> None:
    page.get_by_label("Files", exact=True).set_input_files(files)


def card(page: Page, name: str) -> Locator:
    return page.get_by_role("article", name=name)


def stored(server: Server) -> list[str]:
    return sorted(sha256(path) for path in (server.data / "files").iterdir())


class Gate:
    """Lets so many chunks through, then holds them until it is opened."""

    def __init__(self, page: Page, chunks: int) -> None:
        self._page = page
        self._left = chunks
        self._held: list[Route] = []
        page.route("**/chunk?*", self._pass)

    def _pass(self, route: Route) -> None:
        if self._left > 0:
            self._left -= 1
            route.continue_()
        else:
            self._held.append(route)

    def wait(self) -> None:
        """Until it holds a chunk."""
        while not self._held:
            self._page.wait_for_timeout(10)

    def open(self) -> None:
        self._left = 1 << 30
        while self._held:
            self._held.pop().continue_()

    def forget(self) -> None:
        """What it held is gone with the document that sent it."""
        self._held.clear()
        self._left = 1 << 30


def test_a_video_goes_through_a_narrow_ingress_and_is_assessed(
    page: Page, tmp_path: Path, talk: Path
) -> None:
    require_nginx()
    with serving(tmp_path / "data") as server, nginx(server.port, "256k") as ingress:
        page.goto(ingress.url)
        choose(page, talk)
        page.get_by_text("are refused").wait_for()
        page.locator(".verdict").wait_for()
        assert stored(server) == [sha256(talk)]
        assert 0 < ingress.refused() <= 2
        found = page.locator("tbody tr").filter(has_text="VIS-BLACK")
        assert "0:02.00 to 0:04.00" in found.inner_text()
        found.get_by_role("button").click()
        page.wait_for_function(
            "() => { const film = document.querySelector('.player video');"
            " return film.currentTime === 2 && !film.seeking && film.videoWidth === 640 }"
        )
        with page.expect_download() as saving:
            page.get_by_role("link", name="Download the file").click()
        assert saving.value.suggested_filename == "talk.mp4"
        assert sha256(Path(saving.value.path())) == sha256(talk)


def test_after_a_reload_the_same_file_goes_on_and_only_the_rest_is_sent(
    page: Page, tmp_path: Path
) -> None:
    file = make_file(tmp_path / "talk.mp4", LARGE)
    page.add_init_script(KEEPS_NOTHING)
    page.on("dialog", lambda dialog: dialog.accept())
    with serving(tmp_path / "data", **SMALL) as server:
        gate = Gate(page, chunks=5)
        page.goto(server.url)
        choose(page, file)
        gate.wait()
        page.get_by_text("640 KiB of 6 MiB safe").wait_for()
        page.reload()
        gate.forget()  # not before: the old document may just be sending another chunk

        unfinished = card(page, "talk.mp4")
        unfinished.get_by_text("640 KiB of 6 MiB safe").wait_for()
        sent = list[int]()
        page.on("request", lambda r: sent.append(1) if "/chunk?" in r.url else None)
        with page.expect_file_chooser() as choosing:
            unfinished.get_by_role("button", name="Choose the file to continue").click()
        choosing.value.set_files(file)
        page.get_by_text("Continuing an earlier upload: 640 KiB were safe already.").wait_for()
        card(page, "talk.mp4").get_by_text("The whole file has arrived.").wait_for()
        assert len(sent) == 43
        assert stored(server) == [sha256(file)]
        assert page.get_by_role("article").count() == 1


def test_another_file_than_the_unfinished_one_is_told_so(page: Page, tmp_path: Path) -> None:
    file = make_file(tmp_path / "cat.mp4", MiB)
    with serving(tmp_path / "data", **SMALL) as server:
        begun = httpx2.post(
            f"{server.url}/api/chunked-upload/init",
            json={"filename": "talk.mp4", "size": MiB, "fingerprint": "something"},
        ).json()
        page.goto(server.url)
        with page.expect_file_chooser() as choosing:
            page.get_by_role("button", name="Choose the file to continue").click()
        choosing.value.set_files(file)
        page.get_by_text("This is not the file of the unfinished upload “talk.mp4”.").wait_for()
        card(page, "cat.mp4").get_by_text("The whole file has arrived.").wait_for()
        assert stored(server) == [sha256(file)]

        page.get_by_role("button", name="Delete").click()
        page.get_by_role("button", name="Yes, delete").click()
        page.get_by_text("Unfinished uploads").wait_for(state="detached")
        status = httpx2.get(f"{server.url}/api/chunked-upload/{begun['upload_id']}").json()
        assert status["state"] == "cancelled"


def test_a_key_that_ends_in_mid_upload_is_asked_for_again_and_the_upload_goes_on(
    page: Page, tmp_path: Path
) -> None:
    file = make_file(tmp_path / "talk.mp4", LARGE)
    keys = Keys(keys_file(tmp_path / "data"))
    key = keys.add("alice")
    with serving(tmp_path / "data", **SMALL) as server:
        gate = Gate(page, chunks=3)
        page.goto(server.url)
        page.get_by_role("textbox", name="Key").fill("wrong")
        page.keyboard.press("Enter")
        page.get_by_text("This key is not valid").wait_for()
        page.get_by_role("textbox", name="Key").fill(key)
        page.keyboard.press("Enter")
        page.get_by_role("textbox", name="Key").wait_for(state="detached")
        choose(page, file)
        gate.wait()

        keys.remove("alice")
        new = keys.add("alice")
        gate.open()
        page.get_by_role("textbox", name="Key").fill(new)
        page.keyboard.press("Enter")
        card(page, "talk.mp4").get_by_text("The whole file has arrived.").wait_for()
        assert stored(server) == [sha256(file)]
        with page.expect_download() as saving:
            page.get_by_role("link", name="Download the file").click()
        assert sha256(Path(saving.value.path())) == sha256(file)
        page.reload()
        page.get_by_role("textbox", name="Key").wait_for()  # nobody wanted it to be kept


def test_the_keyboard_is_enough(page: Page, tmp_path: Path) -> None:
    file = make_file(tmp_path / "talk.mp4", LARGE)

    def press_tab_until(name: str) -> None:
        for _ in range(20):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.textContent").startswith(name):
                return
        raise AssertionError(f"the tab key never reaches {name}")

    page.add_init_script(NO_HANDLES)
    with serving(tmp_path / "data", **SMALL) as server:
        gate = Gate(page, chunks=3)
        page.goto(server.url)
        press_tab_until("Choose files")
        with page.expect_file_chooser() as choosing:
            page.keyboard.press("Enter")
        choosing.value.set_files(file)
        gate.wait()
        press_tab_until("Pause")
        page.keyboard.press("Enter")
        card(page, "talk.mp4").get_by_text("Nothing is sent until you resume.").wait_for()
        gate.forget()
        assert page.evaluate("document.activeElement.textContent").startswith("Resume")
        page.keyboard.press("Enter")
        card(page, "talk.mp4").get_by_text("The whole file has arrived.").wait_for()
        page.wait_for_function("document.activeElement.textContent.startsWith('Remove from list')")
        page.keyboard.press("Space")
        page.get_by_text("Uploaded earlier").wait_for()
        assert page.evaluate("document.activeElement.textContent") == "Wherry"
        assert stored(server) == [sha256(file)]


def test_what_is_dropped_on_the_page_goes_up(page: Page, server: Server) -> None:
    page.goto(server.url)
    dropped = page.evaluate_handle(
        "() => { const held = new DataTransfer();"
        " held.items.add(new File(['x'.repeat(1000)], 'dropped.txt')); return held }"
    )
    page.dispatch_event("main", "dragenter", {"dataTransfer": dropped})
    page.get_by_text("Drop the files").wait_for()
    page.dispatch_event("main", "drop", {"dataTransfer": dropped})
    card(page, "dropped.txt").get_by_text("The whole file has arrived.").wait_for()


def test_several_files_go_up_and_one_can_be_cancelled(page: Page, tmp_path: Path) -> None:
    files = [make_file(tmp_path / f"{n}.bin", LARGE, seed=n) for n in range(3)]
    with serving(tmp_path / "data", **SMALL) as server:
        gate = Gate(page, chunks=4)
        page.goto(server.url)
        choose(page, *files)
        gate.wait()
        card(page, "2.bin").get_by_text("Starts when one of the files above").wait_for()
        card(page, "1.bin").get_by_text("of 6 MiB safe").wait_for()
        card(page, "1.bin").get_by_role("button", name="Cancel").click()
        card(page, "1.bin").get_by_role("button", name="Yes, delete").click()
        card(page, "1.bin").get_by_text("Cancelled").wait_for()
        gate.open()
        for name in ("0.bin", "2.bin"):
            card(page, name).get_by_text("The whole file has arrived.").wait_for()
        assert stored(server) == sorted(sha256(files[n]) for n in (0, 2))
        assert list((server.data / "temp_chunks").iterdir()) == []


def test_names_and_details_are_changed_before_anything_is_sent(page: Page, tmp_path: Path) -> None:
    file = make_file(tmp_path / "talk.mp4", LARGE)
    page.add_init_script(KEEPS_NOTHING)
    page.on("dialog", lambda dialog: dialog.accept())
    sent = list[str]()
    page.on("request", lambda request: sent.append(request.url))
    with serving(tmp_path / "data", page_fields="Title,Project", **SMALL) as server:
        gate = Gate(page, chunks=5)
        page.goto(server.url)
        assert page.get_by_label("Wait after choosing").is_checked()
        choose(page, file)
        card(page, "talk.mp4").get_by_text("Starts when you press Start.").wait_for()
        card(page, "talk.mp4").get_by_role("button", name="Edit").click()
        # What is likely to be changed is selected.
        page.keyboard.type("rivers")
        page.get_by_label("Title").fill("Rivers in Bremen")
        page.keyboard.press("Enter")
        renamed = card(page, "rivers.mp4")
        renamed.wait_for()
        assert page.evaluate("document.activeElement.textContent") == "Edit rivers.mp4"
        assert not [url for url in sent if url.endswith(("/init", "/upload"))]
        renamed.get_by_role("button", name="Start").click()
        gate.wait()
        page.get_by_text("640 KiB of 6 MiB safe").wait_for()
        page.reload()
        gate.forget()

        # The same file continues it, although it has another name on this disk.
        with page.expect_file_chooser() as choosing:
            card(page, "rivers.mp4").get_by_role("button", name="Choose the file").click()
        choosing.value.set_files(file)
        page.get_by_text("Continuing an earlier upload: 640 KiB were safe already.").wait_for()
        card(page, "rivers.mp4").get_by_text("The whole file has arrived.").wait_for()
        assert stored(server) == [sha256(file)]
        [row] = sqlite3.connect(server.data / "catalog.sqlite").execute(
            "SELECT filename, metadata FROM uploads"
        )
        assert (row[0], json.loads(row[1])) == ("rivers.mp4", {"Title": "Rivers in Bremen"})


def test_a_script_from_elsewhere_does_not_run(
    page: Page, server: Server, complaints: Complaints
) -> None:
    page.goto(server.url)
    page.evaluate(
        "document.head.append(Object.assign(document.createElement('script'),"
        " { textContent: 'window.ran = true' }))"
    )
    assert page.evaluate("window.ran") is None
    assert any("Content Security Policy" in heard for heard in complaints.heard)
    complaints.heard.clear()


@contextmanager
def host_application(data: Path) -> Iterator[str]:
    """An application with a login by cookie, the page at `/team/uploads/`, the API beside it."""
    host = FastAPI()
    team = APIRouter(prefix="/team")

    def user(session: Annotated[str | None, Cookie()] = None) -> str:
        if session != "alices":
            raise HTTPException(401)
        return "alice"

    def begin(file: FinishedFile) -> str:
        return f"job-for-{file.filename}"

    team.include_router(
        chunked_upload_router(owner=user, on_complete=begin, data=data, chunk_size="128KiB"),
        prefix="/api",
    )
    team.include_router(page_router(api="../api/"), prefix="/uploads")
    host.include_router(team)
    server = uvicorn.Server(uvicorn.Config(host, port=0, log_config=None, ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def test_a_host_application_has_the_page_with_its_own_login(page: Page, tmp_path: Path) -> None:
    file = make_file(tmp_path / "talk.mp4", LARGE)
    with host_application(tmp_path / "data") as url:
        page.goto(f"{url}/team/uploads/")
        page.get_by_text("You are not logged in").wait_for()
        page.context.add_cookies([{"name": "session", "value": "alices", "url": url}])
        page.get_by_role("button", name="Continue").click()
        page.get_by_text("You are not logged in").wait_for(state="detached")
        choose(page, file)
        page.get_by_text("The application has received the file.").wait_for()
        assert page.locator(".after code").inner_text() == "job-for-talk.mp4"


def test_who_comes_too_many_waits_in_line_and_gets_in_by_itself(page: Page, tmp_path: Path) -> None:
    file = make_file(tmp_path / "talk.mp4", LARGE)
    with serving(tmp_path / "data", max_open=1, **SMALL) as server:
        first = httpx2.post(
            f"{server.url}/api/chunked-upload/init", json={"filename": "first.mp4", "size": MiB}
        ).json()
        page.goto(server.url)
        choose(page, file)
        waiting = card(page, "talk.mp4")
        waiting.get_by_text("1st in the queue").wait_for()
        waiting.get_by_text("The upload starts automatically.").wait_for()
        cancel = {"upload_id": first["upload_id"]}
        httpx2.post(f"{server.url}/api/chunked-upload/cancel", json=cancel).raise_for_status()
        waiting.get_by_text("The whole file has arrived.").wait_for()
        assert stored(server) == [sha256(file)]


def test_what_the_camera_records_is_uploaded(page: Page, server: Server) -> None:
    page.goto(server.url)
    page.get_by_role("button", name="Record the camera").click()
    page.get_by_text("Recording for").wait_for()
    # Before the first picture, there is nothing to upload.
    picture = page.locator(".recorder video")
    while picture.evaluate("video => video.currentTime") < 1:
        page.wait_for_timeout(100)
    page.get_by_role("button", name="Stop and upload").click()
    card(page, "recording-").get_by_text("The whole file has arrived.").wait_for()
    [recorded] = (server.data / "files").glob("*.webm")
    assert recorded.read_bytes().startswith(b"\x1a\x45\xdf\xa3")  # as every WebM
    page.get_by_role("button", name="Record the camera").wait_for()
