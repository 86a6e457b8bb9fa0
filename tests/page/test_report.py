"""The report in a real browser, of a film that a real server assessed. It needs a key."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from wherry.auth import Keys, keys_file
from wherry.testing.server import Server, serving
from wherry.testing.video import make_video

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page, Route

SECONDS, BLACK, SILENCE = 14, (1, 3), (5, 9)
#: How long an assessment may take, in seconds.
TIMEOUT = 120.0


class Film:
    """A film on a server, assessed, and the key that its owner has."""

    def __init__(self, server: Server, key: str, path: Path) -> None:
        self.server = server
        self.key = key
        headers = {"Authorization": f"Bearer {key}"}
        self.api = httpx2.Client(base_url=f"{server.url}/api/chunked-upload", headers=headers)
        with path.open("rb") as file:
            answer = self.api.post("/upload", files={"file": ("talk.mp4", file, "video/mp4")})
        facts = answer.raise_for_status().json()
        self.id, self.assessment_id = facts["upload_id"], facts["assessment_id"]
        self.report = self._wait()

    def _wait(self) -> dict[str, Any]:
        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline:
            found = self.api.get(f"/assessments/{self.assessment_id}").json()
            if found["report"]:
                report: dict[str, Any] = found["report"]
                return report
            time.sleep(0.1)
        raise AssertionError(f"not assessed: {found}")

    def when(self, code: str) -> tuple[str, float]:
        """The words of the first finding with this code on its button, and the second it begins."""
        found = next(each for each in self.report["findings"] if each["code"] == code)
        start, end = found["start"], found["end"]
        return f"0:{start:05.2f} to 0:{end:05.2f}", start

    def open(self, page: Page) -> Locator:
        """The report on the page, after the key was given."""
        page.goto(self.server.url)
        page.get_by_label("Key", exact=True).fill(self.key)
        page.get_by_role("button", name="Use this key").click()
        page.locator("summary", has_text="talk.mp4").click()
        report = page.get_by_role("region", name="Report")
        report.locator(".verdict").wait_for()
        return report


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Film]:
    folder = tmp_path_factory.mktemp("report")
    path = make_video(
        folder / "talk.mp4",
        seconds=SECONDS,
        width=320,
        height=180,
        black=BLACK,
        freeze=None,
        silence=SILENCE,
        size_at_least=3 << 20,
    )
    key = Keys(keys_file(folder / "data")).add("alice")
    options = {"shared_reports": True, "shared_files": True}
    with serving(folder / "data", **options) as server:
        film = Film(server, key, path)
        yield film
        film.api.close()


def wait_until_at(page: Page, seconds: float, within: float = 0.01) -> None:
    """Until the player shows what is at this second."""
    page.wait_for_function(
        """([at, within]) => {
          const video = document.querySelector('.player video')
          const isThere = video && Math.abs(video.currentTime - at) <= within
          return isThere && !video.seeking && video.readyState >= 2
        }""",
        arg=[seconds, within],
    )


def test_a_finding_leads_the_player_to_its_second_by_the_keyboard(page: Page, film: Film) -> None:
    report = film.open(page)
    words, start = film.when("VIS-BLACK")
    found = report.get_by_role("button", name=words)
    found.focus()
    page.keyboard.press("Enter")
    wait_until_at(page, start)
    assert found.evaluate("button => button === document.activeElement")
    assert f"Now at {words.split()[0]}." in report.get_by_role("status").all_inner_texts()


def test_the_player_reads_ranges_and_the_key_is_in_no_address(page: Page, film: Film) -> None:
    asked: list[str] = []
    page.context.on("request", lambda request: asked.append(request.url))
    report = film.open(page)
    player = report.locator("video")
    player.wait_for()
    wait_until_at(page, 0)
    source = player.evaluate("video => video.currentSrc")
    assert source == f"{film.server.url}/api/chunked-upload/files/{film.id}"
    words, start = film.when("AUD-SILENCE")
    report.get_by_role("button", name=words).click()
    wait_until_at(page, start)
    assert not [address for address in asked if film.key in address]
    assert player.evaluate("video => video.seekable.end(0)") == pytest.approx(SECONDS, abs=0.2)


def test_a_click_on_the_axis_and_on_a_picture_leads_there(page: Page, film: Film) -> None:
    report = film.open(page)
    axis = report.get_by_role("img", name="Time axis").locator("> div")
    axis.locator(".strip image").first.wait_for()
    length = film.report["probe"]["duration"]
    box = axis.bounding_box()
    assert box is not None
    axis.click(position={"x": box["width"] / 2, "y": box["height"] - 5})
    wait_until_at(page, length / 2, within=0.1)
    axis.locator(".finding").first.click()
    wait_until_at(page, film.report["findings"][0]["start"])
    report.locator(".contact-sheet").get_by_role("button").nth(3).click()
    at = page.evaluate("document.querySelector('.player video').currentTime")
    assert 2 < at < length


def test_the_axis_shows_the_sound_and_the_pictures_of_the_film(page: Page, film: Film) -> None:
    report = film.open(page)
    axis = report.get_by_role("img", name="Time axis")
    axis.locator(".strip image").nth(7).wait_for()
    axis.locator(".wave img").wait_for()
    path = axis.locator(".loudness .curve").get_attribute("d") or ""
    assert path.count("M") == 2, "the silence is a gap"
    label = axis.get_attribute("aria-label") or ""
    assert "0:14" in label
    timed = [each for each in film.report["findings"] if each["start"] is not None]
    assert f"{len(timed)} findings have a time" in label
    assert "LUFS" in label


def test_no_sprite_is_shown_as_it_is(page: Page, film: Film) -> None:
    [sprite] = [a for a in film.report["artefacts"] if a["kind"] == "storyboard"]
    report = film.open(page)
    report.locator(".contact-sheet image").first.wait_for()
    for image in report.locator("img").all():
        shown = image.evaluate("i => i.decode().then(() => [i.naturalWidth, i.naturalHeight])")
        assert shown != [sprite["width"], sprite["height"]]
    tiles = report.locator(".contact-sheet .tile").all()
    assert len(tiles) == 12
    boxes = [tile.get_attribute("viewBox") for tile in tiles]
    assert len(set(boxes)) == 12
    assert {tuple((box or "").split()[2:]) for box in boxes} == {("160", "90")}
    assert sprite["width"] > 160


def test_the_report_is_saved_as_the_server_has_it(page: Page, film: Film) -> None:
    report = film.open(page)
    with page.expect_download() as saving:
        report.get_by_role("button", name="Save the report as JSON").click()
    assert saving.value.suggested_filename == "talk.mp4.report.json"
    assert json.loads(Path(saving.value.path()).read_text()) == film.report


def test_only_the_report_is_printed(page: Page, film: Film) -> None:
    report = film.open(page)
    report.locator(".contact-sheet image").first.wait_for()
    page.evaluate("window.print = () => { window.wasPrinted = true }")
    report.get_by_role("button", name="Print the report").click()
    assert page.evaluate("window.wasPrinted")
    page.emulate_media(media="print")
    assert report.get_by_role("heading", name="talk.mp4").is_visible()
    assert report.locator("figure.poster img").is_visible()
    assert report.locator("tbody tr").count() == len(film.report["findings"])
    for other in (".chooser", "video", "summary", ".check", "header.top"):
        assert not page.locator(other).first.is_visible(), other
    pages = page.pdf()
    assert pages.startswith(b"%PDF")
    page.emulate_media(media="screen")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator(".chooser").is_visible()


PLACES = """
() => {
  const parts = ['.player', '.axis', 'table', '.facts', '.contact-sheet', '.report > .buttons']
  return parts.map((part) => {
    const { top, height } = document.querySelector(part).getBoundingClientRect()
    return [part, top + scrollY, height]
  })
}
"""


def test_nothing_moves_when_the_pictures_and_the_film_arrive(page: Page, film: Film) -> None:
    held: list[Route] = []
    page.context.route("**/pictures/*", lambda route: held.append(route))
    report = film.open(page)
    report.locator("video").wait_for()
    before = page.evaluate(PLACES)
    while len(held) < 4:  # poster, waveform, sprite, its index
        page.wait_for_timeout(10)
    for route in held:
        route.continue_()
    report.locator(".contact-sheet image").nth(11).wait_for()
    report.locator(".wave img").wait_for()
    wait_until_at(page, 0)
    assert page.evaluate(PLACES) == before


def test_where_nothing_can_be_played_pictures_show_each_place(page: Page, film: Film) -> None:
    page.context.route("**/files/*", lambda route: route.fulfill(status=404))
    report = film.open(page)
    report.get_by_text("This browser cannot play the file.").wait_for()
    poster = report.locator("figure.poster")
    poster.locator("img").wait_for()
    words, start = film.when("AUD-SILENCE")
    report.get_by_role("button", name=words).click()
    poster.locator(".tile image").wait_for()
    assert any(f"0:{second:02}" in poster.inner_text() for second in (int(start), int(start) - 1))


def make_link(report: Locator, *, with_file: bool) -> str:
    share = report.page.locator("details.share")
    share.get_by_text("Share this report by a link").click()
    share.get_by_label("Whom it is for").fill("Bob")
    share.get_by_label("Show the file, too").set_checked(with_file)
    share.get_by_role("button", name="Make a link").click()
    return share.get_by_label("The link.").input_value()


def test_a_link_shows_the_report_and_the_film_until_it_is_revoked(
    page: Page, browser: Browser, film: Film
) -> None:
    link = make_link(film.open(page), with_file=True)
    with browser.new_context() as other:
        reader = other.new_page()
        asked: list[str] = []
        other.on("request", lambda request: asked.append(request.url))
        reader.goto(link)
        reader.get_by_role("heading", name="talk.mp4").first.wait_for()
        words, start = film.when("VIS-BLACK")
        reader.get_by_role("button", name=words).click()
        wait_until_at(reader, start)
        reader.locator(".contact-sheet image").nth(11).wait_for()
        assert reader.locator(".chooser, .known, .check, .share").count() == 0
        assert [address for address in asked if "wherry_guest_" in address.partition("#")[0]] == []

        page.get_by_role("button", name="Revoke the link “Bob”").click()
        page.get_by_text("The link “Bob” was revoked.").wait_for(state="attached")
        reader.reload()
        reader.get_by_text("This link was revoked.").wait_for()
        assert reader.get_by_role("region", name="Report").count() == 0


def test_a_link_without_the_file_shows_the_report_alone(
    page: Page, browser: Browser, film: Film
) -> None:
    link = make_link(film.open(page), with_file=False)
    with browser.new_context() as other:
        reader = other.new_page()
        reader.goto(link)
        reader.locator(".contact-sheet image").nth(11).wait_for()
        assert reader.locator("video").count() == 0
        assert reader.get_by_role("link", name="Download the file").count() == 0
        reader.get_by_role("button", name=film.when("AUD-SILENCE")[0]).click()
        reader.locator("figure.poster .tile image").wait_for()
