"""A tab of headless Chromium with the application's upload page in it.

Rule 1: every error that an upload throws here is looked at: only a refusal for size may
have the words of one, for applications look for these words.

Rule 2: waiting is for an event of the upload, never for time to pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

try:
    from playwright.sync_api import Error as PlaywrightError
except ImportError:  # The tests are skipped then.
    PlaywrightError = Exception  # type: ignore[misc, assignment]

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, CDPSession, Page, Request, Response

MiB = 1 << 20
#: Milliseconds that anything may take, on a machine with much else to do.
TIMEOUT = 120_000
#: Milliseconds between two looks into a page.
LOOK_EVERY = 25

#: An upload as the application begins it.
PLAIN = "client.uploadVideoChunked(file, onProgress)"
#: Runs an expression in which `file` is what was chosen, and keeps what comes of it.
BEGIN = """
(name) => {
  const file = document.querySelector('#video')?.files[0];
  const seen = { moments: [], ended: null };
  (window.uploads ??= {})[name] = seen;
  const onProgress = (percent, { safe, sending, ...details } = {}) => {
    seen.moments.push({ percent, ...details });
  };
  const end = (result, error) => { seen.ended = { result, error }; };
  const facts = ({ name, message, code, status, retryable }) =>
    ({ name, message, code, status, retryable });
  const running = (async () => EXPRESSION)();
  running.then((result) => end(result, null), (error) => end(null, facts(error)));
}
"""


class Tab:
    """One page, what it asked the server for, and what it said in its console."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        #: Path and status of each answer, in their order.
        self.answers: list[tuple[str, int]] = []
        #: Path of each request.
        self.requests: list[str] = []
        self.said: list[str] = []
        self._network: CDPSession | None = None
        page.set_default_timeout(TIMEOUT)
        page.on("response", self._answered)
        page.on("request", self._asked)
        page.on("console", lambda message: self.said.append(message.text))
        page.goto(url)

    def _answered(self, response: Response) -> None:
        self.answers.append((urlsplit(response.url).path, response.status))

    def _asked(self, request: Request) -> None:
        self.requests.append(urlsplit(request.url).path)

    @property
    def context(self) -> BrowserContext:
        return self.page.context

    def refused(self) -> int:
        """How many requests were refused for their size."""
        return [status for _, status in self.answers].count(413)

    def chunks(self) -> int:
        """How many chunks were begun to be sent."""
        return self.requests.count("/api/chunked-upload/chunk")

    # As a user.

    def choose(self, file: Path) -> None:
        self.page.set_input_files("#video", file)

    def press_upload(self) -> None:
        self.page.click("role=button[name=Upload]")

    def wait_for_percent(self, percent: int) -> None:
        """Until the bar of the page is so far. Raises `AssertionError` when it says a problem."""
        shown = "Number(document.querySelector('[role=progressbar]')?.ariaValueNow)"
        said = "document.querySelector('[role=alert]').textContent"
        self.page.wait_for_function(f"{shown} >= {percent} || {said}", polling=LOOK_EVERY)
        assert not self.page.evaluate(said)

    def wait_for_result_page(self) -> str:
        """The assessment's id."""
        self.page.wait_for_url("**/assessments/*")
        return self.page.url.rsplit("/", 1)[1]

    # As a developer: the functions that the application imports.

    def begin(self, expression: str = PLAIN, name: str = "upload") -> None:
        """Start an upload and leave it running; `file` and `onProgress` are there for it."""
        self.page.evaluate(BEGIN.replace("EXPRESSION", expression), name)

    def upload(self, file: Path) -> dict[str, Any]:
        """What `uploadVideoChunked` resolves to for this file."""
        self.choose(file)
        self.begin()
        return self.result()

    def wait_for(self, condition: str, name: str = "upload") -> None:
        """Until a moment `m` of the upload is such. Raises `AssertionError` when it ends before."""
        such = f"uploads[name].moments.some((m) => {condition})"
        self._wait_until(f"uploads[name].ended || {such}", name)
        ended = self.page.evaluate("(name) => uploads[name].ended", name)
        assert self.page.evaluate(f"(name) => {such}", name), ended

    def wait_for_middle(self) -> None:
        """Until a fifth of the file is acknowledged."""
        self.wait_for("m.bytesSafe >= m.bytesTotal / 5")

    def moments(self, name: str = "upload") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.page.evaluate("(name) => uploads[name].moments", name)
        return found

    def result(self, name: str = "upload") -> dict[str, Any]:
        """What the promise resolves to."""
        ended = self._end(name)
        assert ended["error"] is None, ended["error"]
        found: dict[str, Any] = ended["result"]
        return found

    def error(self, name: str = "upload") -> dict[str, Any]:
        """What the promise rejects with."""
        ended = self._end(name)
        assert ended["error"] is not None, ended["result"]
        found: dict[str, Any] = ended["error"]
        return found

    def _end(self, name: str) -> dict[str, Any]:
        self._wait_until("uploads[name].ended", name)
        ended: dict[str, Any] = self.page.evaluate("(name) => uploads[name].ended", name)
        if ended["error"] is not None:
            check_words(ended["error"])
        return ended

    def _wait_until(self, condition: str, name: str) -> None:
        script = f"(name) => {condition}"
        try:
            self.page.wait_for_function(script, arg=name, polling=LOOK_EVERY)
        except PlaywrightError as error:
            last = (self.moments(name)[-3:], self.answers[-8:])
            raise AssertionError(f"{condition} did not come about: {last}") from error

    # The network.

    @contextmanager
    def slow(self, upload: int) -> Iterator[None]:
        """At most so many bytes a second go out, so that an upload has a middle."""
        self.have_network(upload=upload)
        try:
            yield
        finally:
            if not self.page.is_closed():
                self.have_network()

    def have_network(self, *, offline: bool = False, upload: int = -1) -> None:
        """From now on. `upload`: bytes a second, -1 for no limit.

        As playwright's `set_offline` does it; together with a limit by another session,
        that one would only say that it is offline.
        """
        if self._network is None:
            self._network = self.context.new_cdp_session(self.page)
            self._network.send("Network.enable")
        conditions = {
            "offline": offline,
            "latency": 0,
            "downloadThroughput": -1,
            "uploadThroughput": upload,
        }
        self._network.send("Network.emulateNetworkConditions", conditions)


def check_words(error: dict[str, Any]) -> None:
    """Raises `AssertionError` where it could be taken for a refusal for size."""
    if error["name"] != "TooLarge":
        assert "413" not in error["message"]
        assert "too large" not in error["message"].lower()
