"""The page in each of its states, with an API that says what a test wants.

Rule 1: the page, its scripts and the browser are real; only the answers of the API and
the clock are not. So every state can be had at once, and looks the same each time.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from tests.page.drawing import SILENCE
from tests.page.operating import ENDED, OVERVIEW, UNFINISHED

from wherry.doctor.diagnosis import diagnose
from wherry.doctor.measured import BROWSER, Cors, Limit, Measured, Refusal, Spent
from wherry.doctor.recognition import Proxy
from wherry.doctor.report import as_object, render_letter

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page, Route

MiB = 1 << 20
#: What the server offers, and what passes in the end, in bytes.
OFFERED, PASSES = 5 * MiB, 640 << 10
#: What the server knows of the path. One larger request is tried, and refused.
KNOWN = {"path": {"passes": PASSES, "refuses": None}}
#: The tab knows the speed of the line. Otherwise, it would send one small chunk first.
FAST_LINE = """
  const path = JSON.stringify({ pace: 2 ** 30 });
  try { sessionStorage.setItem('wherry-path:' + location.origin, path); } catch {}
"""
NOW = "2026-11-23T15:00:00Z"
TICKET = "wherry_guest_" + "0123456789abcdef" * 2 + "_" + "f" * 32
#: Milliseconds between two chunks.
STEP = 250
#: How many steps of its clock a page gets to show something.
TRIES = 500

#: What comes last of a report.
REPORT_PARTS = (".axis .wave img", ".strip image >> nth=7", ".contact-sheet image >> nth=11")

Facts = dict[str, Any]
Scene = Callable[["Stage"], None]
SCENES: dict[str, Scene] = {}

#: A request that is answered here sends no byte, so nobody tells the page that it has, and nobody
#: here how many they are.
BYTES_GO_OUT = """
Math.random = () => 0.5
const { send } = XMLHttpRequest.prototype
XMLHttpRequest.prototype.send = function (body) {
  if (body?.size) this.setRequestHeader('x-bytes', body.size)
  send.call(this, body)
  const sent = { loaded: body?.size, total: body?.size }
  const tell = () => this.upload.dispatchEvent(new ProgressEvent('progress', sent))
  if (body?.size) queueMicrotask(tell)
}
"""


#: What an earlier page of this browser has kept of an unfinished upload.
KEEP = """
async ({ upload_id: uploadId, name, size }) => {
  const root = await navigator.storage.getDirectory()
  const handle = await root.getFileHandle(name, { create: true })
  const { lastModified } = await handle.getFile()
  const opening = indexedDB.open('wherry', 1)
  opening.onupgradeneeded = () => opening.result.createObjectStore('kept', { keyPath: 'id' })
  await new Promise((resolve) => { opening.onsuccess = resolve })
  const records = opening.result.transaction('kept', 'readwrite').objectStore('kept')
  const putting = records.put({
    id: 'one', page: 'closed', api: `${location.origin}/api`, who: null, uploadId, isPaused: false,
    path: name, name, type: 'video/mp4', size, lastModified, handle, keptAt: Date.now(),
  })
  await new Promise((resolve, reject) => {
    putting.onsuccess = resolve
    putting.onerror = reject
  })
  opening.result.close()
}
"""
#: As of a file on a disk, after the page was closed.
ASKS_FIRST = "FileSystemHandle.prototype.queryPermission = async () => 'prompt'"


def scene(play: Scene) -> Scene:
    SCENES[play.__name__.removeprefix("play_").replace("_", "-")] = play
    return play


class Stage:
    """A page at `url`, in front of an API that is played here; nothing moves by itself."""

    def __init__(
        self, page: Page, url: str, folder: Path, pictures: Path, at_most: int = 1000
    ) -> None:
        """`pictures` is where those of the report are; `at_most`: chunks that are let through."""
        self.page = page
        self._at_most = at_most
        self._url = url
        self._folder = folder
        self._pictures = pictures
        self.needs_key = False
        #: What the server has from before.
        self.uploads: list[Facts] = []
        #: What `init` says beside what is usual.
        self.init: tuple[int, Facts] = (201, KNOWN)
        #: What every chunk is answered with; None: those that `pass_chunks` lets through pass.
        self.chunk: tuple[int, Facts] | None = None
        #: Whether chunks above `PASSES` are refused for their size.
        self.is_narrow = False
        self.assessment: Facts = _assessment("queued", [])
        #: What the server accepts.
        self.accepted: Facts = {"max_size": None, "allowed_types": []}
        #: Of guests, as the server lists them.
        self.tickets: list[Facts] = []
        self._sizes: dict[str, tuple[str, int]] = {}
        self._safe: dict[str, list[tuple[int, int]]] = {}
        self.held: list[Route] = []
        page.add_init_script(BYTES_GO_OUT)
        page.add_init_script(FAST_LINE)
        page.clock.install(time=NOW)
        page.route("**/api/**", self._answer)

    def open(self, fragment: str = "") -> None:
        self.page.goto(self._url + fragment)
        self.page.get_by_role("heading", name="Wherry").wait_for()
        self.page.clock.pause_at("2026-11-23T15:01:00Z")

    def visit(self, path: str) -> None:
        self.page.goto(self._url + path)

    def speak(self, language: str) -> None:
        """Prefer this language, as the user of a browser may."""
        wanted = f"Object.defineProperty(navigator, 'languages', {{ get: () => ['{language}'] }})"
        self.page.add_init_script(wanted)

    def ask_for(self, *fields: str) -> None:
        """Let the page want these details of each file, as a server may."""
        asked = json.dumps(fields).replace('"', "&quot;")
        plain, wanted = (f'name="wherry-fields" content="{each}"' for each in ("[]", asked))

        def answer(route: Route) -> None:
            document = route.fetch()
            route.fulfill(response=document, body=document.text().replace(plain, wanted))

        self.page.route(self._url + "/", answer)

    def close(self) -> None:
        """Answer what is still waiting, so that the browser can end."""
        self.chunk = (0, {})
        self.abort()
        self.page.unroute_all(behavior="ignoreErrors")

    def abort(self) -> None:
        """Break the connections of the chunks that are on the way."""
        while self.held:
            self.held.pop().abort()

    def choose(self, *files: tuple[str, int], label: str = "Files") -> None:
        """Choose files of these names, of so many bytes."""
        paths = [self._folder / name for name, _ in files]
        for path, (_, size) in zip(paths, files, strict=True):
            with path.open("wb") as file:
                file.truncate(size)
        self.page.get_by_label(label, exact=True).set_input_files(paths)

    def has(self, words: str) -> None:
        """Wait until the page says so."""
        self.wait_for(self.page.get_by_text(words).first)

    def wait_for(self, shown: Locator) -> None:
        """Let the page's clock go on until this is visible."""
        for _ in range(TRIES):
            if shown.is_visible():
                return
            self.settle()
        raise AssertionError(f"{shown} is not visible")

    def pass_chunks(self, count: int, files: int = 1) -> None:
        """Let so many chunks arrive, one after the other, of so many files under way."""
        for _ in range(min(count, self._at_most)):
            self._wait_for_all(files)
            route = self.held.pop(0)
            self.page.clock.run_for(STEP)
            upload_id, offset = _place(route)
            _, size = self._sizes[upload_id]
            end = offset + int(route.request.headers["x-bytes"])
            self._safe[upload_id].append((offset, end))
            _say(route, 200, _received(self._safe[upload_id], size))
        self._wait_for_all(files)
        self.settle()

    def pass_files(self, count: int) -> None:
        """Let so many files of one chunk each arrive, one after the other."""
        for _ in range(count):
            self._wait_for_held(4)
            route = self.held.pop(0)
            self.page.clock.run_for(STEP)
            _, size = self._sizes[_place(route)[0]]
            _say(route, 200, _received([(0, size)], size))
        self._wait_for_held(4)
        self.settle()

    def _wait_for_held(self, count: int) -> None:
        for _ in range(6000):
            if len(self.held) == count:
                return
            self.page.wait_for_timeout(10)
        raise AssertionError(f"{len(self.held)} chunks were sent, not {count}")

    def _wait_for_all(self, files: int) -> None:
        """Until every file has sent all it sends at once: two chunks."""
        for _ in range(6000):
            if len(self._safe) == files and len(self.held) == 2 * files:
                return
            self.page.wait_for_timeout(10)
        raise AssertionError(f"{len(self.held)} chunks were sent, not {2 * files}")

    def settle(self) -> None:
        """Let the page show what it knows."""
        self.page.wait_for_timeout(100)
        self.page.clock.run_for(STEP)
        self.page.wait_for_timeout(50)

    def _answer(self, route: Route) -> None:
        path = urlsplit(route.request.url).path.partition("/api")[2]
        if self.needs_key:
            _say(route, 401, {"code": "unauthorized", "detail": "Nobody we know."})
        elif path == "/chunked-upload/upload":  # every scene is about chunks
            route.fulfill(status=405, body="<h1>405</h1>", content_type="text/html")
        elif path == "/chunked-upload/init":
            self._begin(route)
        elif path == "/chunked-upload/chunk":
            self._take(route)
        elif path == "/chunked-upload/complete":
            _say(
                route, 200, {"upload_id": "0" * 32, "assessment_id": "a" * 32, "state": "complete"}
            )
        elif path == "/chunked-upload/accepted":
            _say(route, 200, self.accepted)
        elif path == "/chunked-upload/":
            states = parse_qs(urlsplit(route.request.url).query)["state"][0].split(",")
            listed = [found for found in self.uploads if found["state"] in states]
            _say(route, 200, {"uploads": listed, "next": None})
        elif path == "/chunked-upload/guests" or path.endswith("/links"):
            made = {"ticket": TICKET}
            post = route.request.method == "POST"
            _say(route, 201 if post else 200, made if post else {"tickets": self.tickets})
        elif path == "/chunked-upload/overview":
            _say(route, 200, OVERVIEW)
        elif path == "/chunked-upload/all":
            listed = ENDED if "failed" in urlsplit(route.request.url).query else UNFINISHED
            _say(route, 200, {"uploads": listed, "next": None})
        elif path == "/chunked-upload/examination":
            _say(route, 200, _examination())
        elif path.startswith("/chunked-upload/files/"):
            route.fulfill(path=self._pictures / "film.mp4")
        elif "/pictures/" in path:
            route.fulfill(path=self._pictures / path.rpartition("/")[2])
        elif path.startswith("/chunked-upload/assessments/"):
            _say(route, 200, self.assessment)
        else:
            upload_id = path.rpartition("/")[2]
            _say(route, 200, upload(upload_id, *self._sizes[upload_id], **self.init[1]))

    def _begin(self, route: Route) -> None:
        wanted: Facts = route.request.post_data_json or {}
        status, more = self.init
        known = [u for u in self.uploads if u["filename"] == wanted["filename"]]
        upload_id = known[0]["upload_id"] if known else wanted["filename"].encode().hex()[:32]
        self._sizes[upload_id] = wanted["filename"], wanted["size"]
        received = [(a, b) for a, b in known[0]["received"]] if known else []
        self._safe[upload_id] = received
        facts = upload(upload_id, *self._sizes[upload_id], received=received)
        _say(route, status, facts | more)

    def _take(self, route: Route) -> None:
        if self.is_narrow and int(route.request.headers["x-bytes"]) > PASSES:
            route.fulfill(status=413, body="<h1>413</h1>", content_type="text/html")
        elif self.chunk is not None and self.chunk[0] == 0:
            route.abort()
        elif self.chunk is not None:
            _say(route, *self.chunk)
        else:
            self.held.append(route)
            self.held.sort(key=lambda held: _place(held)[::-1])  # the files take turns


def _place(route: Route) -> tuple[str, int]:
    query = parse_qs(urlsplit(route.request.url).query)
    return query["upload_id"][0], int(query["offset"][0])


def _say(route: Route, status: int, facts: Facts) -> None:
    kind = "application/json" if status < 400 else "application/problem+json"
    route.fulfill(status=status, content_type=kind, body=json.dumps(facts))


def _received(ranges: list[tuple[int, int]], size: int) -> Facts:
    merged: list[list[int]] = []
    for start, end in sorted(ranges):
        if merged and merged[-1][1] >= start:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([start, end])
    edges = [0, *(edge for pair in merged for edge in pair), size]
    gaps = [[a, b] for a, b in zip(edges[::2], edges[1::2], strict=True) if a < b]
    return {
        "received": merged,
        "received_bytes": sum(end - start for start, end in merged),
        "size": size,
        "offset": merged[0][1] if merged and merged[0][0] == 0 else 0,
        "missing": gaps,
    }


def upload(
    upload_id: str, name: str, size: int, received: list[tuple[int, int]] | None = None, **more: Any
) -> Facts:
    """An upload as the server tells of it."""
    return {
        "upload_id": upload_id,
        "state": "receiving",
        "filename": name,
        "content_type": "video/mp4",
        "chunk_size": OFFERED,
        "total_chunks": -(-size // OFFERED),
        "limits": {"max_size": None, "min_chunk": 64 << 10, "max_chunk": 64 * MiB},
        "concurrency": 4,
        "digest": None,
        "assessment_id": None,
        "failure": None,
        "expires_at": "2026-11-24T14:58:00Z",
        "deleted_at": None,
        "position": None,
        "retry_after": None,
        **_received(received or [], size),
        **more,
    }


def _problem(status: int, code: str, **facts: Any) -> tuple[int, Facts]:
    said = {"type": f"urn:wherry:problem:{code}", "status": status, "code": code, "detail": ""}
    return status, said | {"retryable": False, "hint": ""} | facts


def _assessment(state: str, steps: list[tuple[str, str, float | None]], **more: Any) -> Facts:
    return {
        "assessment_id": "a" * 32,
        "upload_id": "0" * 32,
        "state": state,
        "steps": [{"name": n, "state": s, "seconds": t} for n, s, t in steps],
        "report": None,
        "problem": None,
        **more,
    }


def _examination() -> Facts:
    """What a page finds in front of nginx with its default."""
    refusal = Refusal(413, "page", None, "nginx")
    evidence = ("Server: nginx/1.22.1", "the page of the refusal is nginx's")
    measured = Measured(
        "https://example.org/api",
        NOW,
        "1",
        BROWSER,
        is_wherry=True,
        is_authorised=True,
        status=200,
        limit=Limit(MiB, MiB + 1, True, "sent", MiB, refusal, 8 * MiB),
        proxies=(Proxy("nginx", "1.22.1", evidence),),
        buffers_request=True,
        buffers_answer=False,
        cors=Cors("https://example.org", None, False),
        protocol="h2",
        http2=True,
        limit_over_2=MiB + 1,
        skew=-1.0,
        spent=Spent(13 * MiB, 12, 4.2),
    )
    diagnosis = diagnose(measured)
    return {
        "next": None,
        "report": as_object(measured, diagnosis),
        "letter": render_letter(measured, diagnosis),
    }


TALK, CLIP = ("talk.mp4", 24 * MiB), ("clip.mp4", 2_516_000)


@scene
def play_start(stage: Stage) -> None:
    stage.open()


@scene
def play_key(stage: Stage) -> None:
    stage.needs_key = True
    stage.open()
    stage.has("This server requires a key")


@scene
def play_sending(stage: Stage) -> None:
    """What the way refuses is learned; some chunks are safe, two are on the way."""
    stage.is_narrow = True
    stage.open()
    stage.choose(TALK)
    stage.pass_chunks(14)


@scene
def play_arabic(stage: Stage) -> None:
    """From right to left."""
    stage.speak("ar-EG")
    stage.accepted |= {"max_size": 2 << 30, "allowed_types": ["video/*"]}
    stage.is_narrow = True
    stage.open()
    stage.choose(TALK, label="الملفات")
    stage.pass_chunks(14)
    stage.has("يجري الرفع")


@scene
def play_german(stage: Stage) -> None:
    stage.speak("de-AT")
    stage.assessment = _assessment("done", [], report=REPORT)
    stage.open()
    _arrive(stage, "Dateien", "Die ganze Datei ist angekommen.")
    _wait_for_report(stage)


@scene
def play_several(stage: Stage) -> None:
    stage.init = (201, {"chunk_size": PASSES, **KNOWN})
    stage.open()
    stage.choose(TALK, ("interview.mov", 12 * MiB), ("closing-words.mp4", 31 * MiB))
    stage.pass_chunks(9, files=2)


@scene
def play_many(stage: Stage) -> None:
    """Some have arrived, four are on their way, one was refused, and one row is open."""
    stage.init = (201, {"path": {"passes": OFFERED, "refuses": None}})
    stage.accepted = {"max_size": 2 << 30, "allowed_types": []}
    stage.open()
    stage.has("At most 2 GiB for each file.")
    photos = [(f"IMG_{number:04}.jpg", 3 * MiB) for number in range(2140, 2200)]
    stage.choose(("rehearsal.mov", 3 << 30), *photos)
    stage.pass_files(12)
    stage.page.get_by_role("button", name="IMG_2153.jpg").first.click()
    for _ in range(1000 // STEP):  # until the client tells its numbers again
        stage.settle()


@scene
def play_refused(stage: Stage) -> None:
    stage.accepted = {"max_size": None, "allowed_types": ["video/*", "audio/*"]}
    stage.open()
    stage.has("Accepted: videos, audio files.")
    stage.choose(("slides.pdf", 3 * MiB), ("photo\u202e4pm.exe", 3 * MiB))
    stage.has("it contains an invisible control character")


@scene
def play_guests(stage: Stage) -> None:
    """An owner has just made a link."""
    stage.accepted |= {"guests": True}
    stage.tickets = [
        _ticket("Bob's films", 3, 1, "valid"),
        _ticket("the agency in Bremen", 40, 40, "used-up"),
    ]
    stage.open()
    stage.page.get_by_label("Whom it is for").fill("Bob")
    stage.page.get_by_role("button", name="Make a link").click()
    stage.wait_for(stage.page.get_by_label("The link."))


@scene
def play_operator(stage: Stage) -> None:
    """One row is open."""
    stage.accepted |= {"operator": True}
    stage.open()
    stage.page.get_by_role("link", name="Operator’s view").click()
    row = stage.page.get_by_role("button", name="talk.mp4")
    stage.wait_for(row)
    row.click()
    stage.has("Copy diagnostics")


@scene
def play_operator_arabic(stage: Stage) -> None:
    """From right to left, and a question is open."""
    stage.speak("ar")
    stage.open("#operator")
    row = stage.page.get_by_role("button", name="talk.mp4")
    stage.wait_for(row)
    row.click()
    stage.page.get_by_role("button", name="إلغاء الرفع").click()
    stage.has("هل تريد إلغاء هذا الرفع")


@scene
def play_guest(stage: Stage) -> None:
    ends = "2026-12-01T15:00:00Z"
    stage.accepted |= {"max_size": 2 << 30, "ticket": {"uploads": 2, "expires_at": ends}}
    stage.open("#ticket=wherry_guest_1_2")
    stage.has("You can upload 2 files with this link")


@scene
def play_offline(stage: Stage) -> None:
    stage.is_narrow = True
    stage.open()
    stage.choose(TALK)
    stage.pass_chunks(9)
    stage.chunk = (0, {})
    stage.page.context.set_offline(True)
    stage.abort()
    stage.has("You are offline.")
    stage.has("The upload continues automatically")
    stage.settle()


@scene
def play_waiting(stage: Stage) -> None:
    stage.init = (202, {"state": "waiting", "position": 3, "retry_after": 5})
    stage.open()
    stage.choose(TALK)
    stage.has("3rd in the queue")


@scene
def play_retrying(stage: Stage) -> None:
    stage.is_narrow = True
    stage.open()
    stage.choose(TALK)
    stage.pass_chunks(9)
    stage.chunk = (0, {})
    stage.abort()
    stage.has("The upload continues automatically")
    stage.settle()


@scene
def play_paused(stage: Stage) -> None:
    stage.is_narrow = True
    stage.open()
    stage.choose(TALK)
    stage.pass_chunks(20)
    stage.page.get_by_role("button", name="Pause").click()
    stage.has("Nothing is sent until you resume")


@scene
def play_failed(stage: Stage) -> None:
    found = {"found": "application/zip", "allowed": ["video/*", "audio/*"]}
    stage.chunk = _problem(415, "type-refused", **found)
    stage.open()
    stage.choose(("slides.zip", 3 * MiB))
    stage.has("The server does not accept this type of file")


@scene
def play_unfinished(stage: Stage) -> None:
    received = [(0, 9 * MiB), (10 * MiB, 12 * MiB)]
    stage.uploads = [upload("f" * 32, *TALK, received=received)]
    stage.open()
    stage.has("Unfinished uploads")


@scene
def play_offered(stage: Stage) -> None:
    """This browser has the file of an unfinished upload, and asks before the page may read it."""
    stage.uploads = [upload("f" * 32, *TALK, received=[(0, 9 * MiB)])]
    stage.page.add_init_script(ASKS_FIRST)
    stage.visit("/api/chunked-upload/accepted")  # of the same origin, and not the page
    stage.page.evaluate(KEEP, {"upload_id": "f" * 32, "name": TALK[0], "size": TALK[1]})
    stage.open()
    stage.wait_for(stage.page.get_by_role("button", name=re.compile("^Continue")))


@scene
def play_edited(stage: Stage) -> None:
    """Files wait for their user, who is changing the name of one."""
    stage.ask_for("Title", "Project")
    stage.open()
    stage.choose(TALK, ("interview.mov", 12 * MiB))
    edit = stage.page.get_by_role("button", name="Edit talk.mp4")
    stage.wait_for(edit)
    edit.click()
    stage.page.get_by_label("File name").fill("talk/2026.mp4")
    stage.page.get_by_label("Title").fill("Rivers in Bremen")
    stage.page.get_by_role("button", name="Save").click()
    stage.has("it contains a slash or backslash")


@scene
def play_assessing(stage: Stage) -> None:
    steps = [
        ("probe", "done", 0.12),
        ("integrity", "done", 1.64),
        ("visual", "running", None),
        ("audio", "running", None),
        ("poster", "waiting", None),
    ]
    stage.assessment = _assessment("running", steps)
    stage.open()
    _arrive(stage)
    stage.has("The video is being assessed")


@scene
def play_done(stage: Stage) -> None:
    stage.assessment = _assessment("done", [], report=REPORT)
    stage.open()
    _arrive(stage)
    _wait_for_report(stage)


@scene
def play_share(stage: Stage) -> None:
    """A link to the report was just made."""
    stage.assessment = _assessment("done", [], report=REPORT)
    stage.accepted |= {"shared_reports": True, "shared_files": True}
    stage.tickets = [_ticket("for the editor", 0, 0, "valid") | {"shows": "0" * 32}]
    stage.open()
    _arrive(stage)
    _wait_for_report(stage)
    stage.page.get_by_text("Share this report by a link").click()
    stage.page.get_by_role("button", name="Make a link").click()
    stage.has("The link. It is shown only now.")


@scene
def play_shared(stage: Stage) -> None:
    """What somebody sees who has such a link, in Arabic."""
    stage.speak("ar")
    stage.assessment = _assessment("done", [], report=REPORT)
    stage.accepted |= {
        "ticket": {"uploads": 0, "expires_at": "2026-12-01T15:00:00Z", "with_file": False}
    }
    stage.open(f"#report={'a' * 32}&ticket={TICKET}")
    for part in REPORT_PARTS:
        stage.wait_for(stage.page.locator(part))


@scene
def play_checked(stage: Stage) -> None:
    stage.open()
    stage.page.get_by_role("button", name="Start the check").click()
    stage.wait_for(stage.page.locator(".check .verdict"))
    stage.page.locator("summary", has_text="nginx").first.click()


def _ticket(note: str, uploads: int, used: int, state: str) -> Facts:
    found = {"ticket_id": note.encode().hex(), "note": note, "expires_at": "2026-12-01T15:00:00Z"}
    return found | {"uploads": uploads, "used": used, "state": state}


def _arrive(
    stage: Stage, label: str = "Files", arrived: str = "The whole file has arrived."
) -> None:
    stage.chunk = (200, _received([(0, CLIP[1])], CLIP[1]))
    stage.choose(CLIP, label=label)
    stage.has(arrived)


def _wait_for_report(stage: Stage) -> None:
    """Until all of its pictures are there, and the player knows how long the film is."""
    for part in REPORT_PARTS:
        stage.wait_for(stage.page.locator(part))
    for _ in range(TRIES):
        video = stage.page.locator(".player video")
        if video.evaluate("video => video.readyState > 3 && !!video.poster"):
            stage.settle()
            return
        stage.settle()
    raise AssertionError("the player has not loaded")


def _finding(code: str, message: str, start: float | None, end: float | None) -> Facts:
    severity = "fail" if code.startswith("INT") else "warn"
    return {"code": code, "severity": severity, "message": message, "start": start, "end": end}


def _picture(name: str, kind: str, content_type: str, width: int, height: int) -> Facts:
    facts = {"name": name, "kind": kind, "content_type": content_type}
    return facts | {"width": width, "height": height}


def _loudness(time: float) -> float | None:
    """What `drawing.waveform` would sound like."""
    if SILENCE[0] <= time < SILENCE[1]:
        return None
    return round(-22 + 6 * math.sin(1.7 * time) + 2 * math.sin(9.1 * time), 1)


REPORT: Facts = {
    "schema": "assessment.v1",
    "verdict": "fail",
    "policy": "web",
    "source": {"filename": CLIP[0], "size": CLIP[1], "digest": "crc64nvme=:GrSsVlZnGIk=:"},
    "audio": {
        "stream": 1,
        "loudness": {"integrated": -20.4, "range": 6.1, "true_peak": -3.2},
        "loudness_curve": {"every": 0.1, "values": [_loudness(n / 10) for n in range(200)]},
    },
    "integrity": {"streams": [{"index": 1, "start": 0.0, "end": 20.0}]},
    "probe": {
        "container": "mov,mp4,m4a,3gp,3g2,mj2",
        "duration": 20.0,
        "streams": [
            {"type": "video", "codec": "h264", "width": 1280, "height": 720, "frame_rate": 25.0},
            {"type": "audio", "codec": "aac", "sample_rate": 48000, "layout": "stereo"},
        ],
    },
    "findings": [
        _finding("VIS-BLACK", "The picture is black for 2.00 s.", 5.0, 7.0),
        _finding("VIS-FREEZE", "The picture is frozen for 3.00 s.", 10.0, 13.0),
        _finding(
            "INT-ERRORS", "3 packets or frames are damaged, the first at 13.52 s.", 13.52, None
        ),
        _finding("AUD-SILENCE", "The sound is silent for 3.00 s.", 14.0, 17.0),
    ],
    "artefacts": [
        {"name": "poster.jpg", "kind": "poster", "content_type": "image/jpeg", "time": 8.0},
        _picture("contact.jpg", "contact-sheet", "image/jpeg", 1280, 540),
        _picture("storyboard.jpg", "storyboard", "image/jpeg", 1600, 180),
        _picture("storyboard.vtt", "storyboard-index", "text/vtt", 160, 90),
        _picture("waveform.png", "waveform", "image/png", 1200, 200),
    ],
}
