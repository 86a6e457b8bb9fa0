"""The element `<wherry-upload>` in a form, in Chromium."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.e2e.conftest import make_file, sha256
from tests.web.conftest import STATIC, Held

from wherry.testing.nginx import nginx, require_nginx
from wherry.testing.server import Server, serving

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

MiB = 1 << 20
HOST = "http://host.example"
DOCUMENT = """<!doctype html><html lang="en"><title>Hand in</title>
<script type="module" src="/wherryUpload.js"></script>
<main><h1>Hand in</h1><form action="/handed-in">
  <wherry-upload name="film" endpoint="{api}" required {more}></wherry-upload>
  <button type="submit">Hand in</button>
</form></main>"""

#: What Streamlit and Gradio do in their pages.
DRAW_FOR_PYTHON = """async (endpoint) => {
  const { show, clear } = await import('/wherryComponent.js')
  const parent = document.querySelector('main').appendChild(document.createElement('section'))
  const settings = { endpoint, accept: '', multiple: false, disabled: false, metadata: {} }
  const draw = (run) => show(
    parent,
    { ...settings, credentials: 'same-origin', headers: { 'X-Run': run } },
    (files) => told.push(files),
  )
  Object.assign(window, { told: [], draw, empty: () => clear(parent) })
  draw('first')
}"""

Open = Callable[..., Any]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    require_nginx()
    data = tmp_path_factory.mktemp("element") / "data"
    options: dict[str, Any] = {"assessment": False, "max_size": 16 * MiB, "max_open": 100}
    with serving(data, **options) as server, nginx(server.port, "1m") as ingress:
        yield server, ingress.url


@pytest.fixture
def form(page: Page, served: tuple[Server, str]) -> Iterator[Open]:
    """Opens a page with the form, of an application that has put the files among its own."""
    _, url = served

    def answer(route: Route) -> None:
        name = urlsplit(route.request.url).path.strip("/")
        if name.endswith(".js"):
            route.fulfill(path=STATIC / name, content_type="text/javascript")
        else:
            document = DOCUMENT.format(api=f"{url}/api", more=more)
            route.fulfill(body=document, content_type="text/html")

    more = ""

    def opened(attributes: str = "") -> Page:
        nonlocal more
        more = attributes
        page.goto(f"{url}/form/")
        page.wait_for_function("customElements.get('wherry-upload') !== undefined")
        return page

    patterns = (f"{url}/form/*", f"{url}/*.js", f"{url}/handed-in*")
    for pattern in patterns:
        page.route(pattern, answer)
    yield opened
    for pattern in patterns:
        page.unroute(pattern)


def choose(page: Page, *files: Path) -> None:
    page.locator("wherry-upload input").set_input_files(list(files))


def is_valid(page: Page) -> bool:
    return bool(page.evaluate("document.forms[0].checkValidity()"))


def test_a_form_is_handed_in_with_the_ids_of_its_files_once_they_have_arrived(
    form: Open, served: tuple[Server, str], tmp_path: Path
) -> None:
    files = [make_file(tmp_path / f"{n}.mp4", (n + 1) * MiB, seed=n) for n in range(4)]
    page = form("multiple")
    assert not is_valid(page), "it is required"
    choose(page, *files)
    assert not is_valid(page), "they have not arrived"
    for file in files:
        page.get_by_role("progressbar", name=file.name).wait_for()
    page.wait_for_function("document.forms[0].checkValidity()")
    page.get_by_role("button", name="Hand in").click()
    page.wait_for_url("**/handed-in?*")
    handed_in = parse_qs(urlsplit(page.url).query)["film"]
    stored = [served[0].data / "files" / f"{upload_id}.mp4" for upload_id in handed_in]
    assert [sha256(path) for path in stored] == [sha256(file) for file in files]


def test_an_upload_is_paused_resumed_and_cancelled_by_buttons_with_its_name(
    form: Open, served: tuple[Server, str], tmp_path: Path
) -> None:
    page = form()
    page.evaluate(
        """() => {
          const first = ({ target, detail }) => {
            if (!detail.details.bytesSent) return
            document.removeEventListener('wherry-progress', first)
            target.shadowRoot.querySelector('button').click()
          }
          document.addEventListener('wherry-progress', first)
        }"""
    )
    choose(page, make_file(tmp_path / "talk.mp4", 12 * MiB, seed=10))
    page.get_by_role("button", name="Resume: talk.mp4").wait_for()
    assert page.get_by_role("status").inner_text() == "Paused"
    page.get_by_role("button", name="Cancel: talk.mp4").click()
    page.get_by_text("Cancelled").wait_for()
    assert not is_valid(page)
    file = make_file(tmp_path / "other.mp4", 2 * MiB, seed=11)
    choose(page, file)  # it replaces the first one
    page.get_by_text("Complete").wait_for()
    assert page.get_by_text("talk.mp4").count() == 0
    assert is_valid(page)


def test_a_refusal_is_told_and_another_file_takes_its_place(form: Open, tmp_path: Path) -> None:
    page = form()
    page.evaluate(
        """() => { window.failed = new Promise((tell) => document.addEventListener('wherry-failed',
          ({ detail }) => tell([detail.file.name, detail.failure.status]))) }"""
    )
    choose(page, make_file(tmp_path / "large.mp4", 17 * MiB))
    assert page.evaluate("failed") == ["large.mp4", 413]
    assert page.get_by_role("status").inner_text().startswith("Failed: The file is too large")
    assert not is_valid(page)
    page.evaluate("document.forms[0].reset()")
    assert page.get_by_role("status").count() == 0


def test_python_is_told_of_each_change_and_can_renew_the_headers_and_empty_the_element(
    form: Open, served: tuple[Server, str], tmp_path: Path
) -> None:
    files = [make_file(tmp_path / f"{n}.mp4", 20_000 + n, seed=30 + n) for n in range(3)]
    page = form()
    page.evaluate(DRAW_FOR_PYTHON, f"{served[1]}/api")
    chosen = page.locator("section input")
    runs: list[str | None] = []
    page.on("request", lambda request: runs.append(request.headers.get("x-run")))
    chosen.set_input_files(files[0])
    page.wait_for_function("told.length === 1")
    assert set(runs) == {"first"}
    runs.clear()
    page.evaluate("draw('second')")
    chosen.set_input_files(files[1])  # it replaces the first one
    page.wait_for_function("told.length === 3")
    assert set(runs) == {"second"}
    page.evaluate("empty()")
    assert page.locator("section li").count() == 0
    held = Held(page, "**/chunked-upload/upload")
    with page.expect_request("**/chunked-upload/upload"):
        chosen.set_input_files(files[2])
    page.evaluate("empty()")  # nothing that Python knows of: what is under way stays
    held.let_go()
    page.wait_for_function("told.length === 4")
    held.end()
    told = page.evaluate("told")
    assert told[1] == []
    for file, [entry] in zip(files, (told[0], told[2], told[3]), strict=True):
        facts = {"filename": file.name, "size": file.stat().st_size, "assessment_id": None}
        assert entry == {"id": entry["id"], **facts}
        assert sha256(served[0].data / "files" / f"{entry['id']}.mp4") == sha256(file)


def test_there_are_no_barriers(form: Open, axe: str, tmp_path: Path) -> None:
    page = form()
    choose(page, make_file(tmp_path / "talk.mp4", MiB, seed=20))
    page.get_by_text("Complete").wait_for()
    page.evaluate(axe)
    found = page.evaluate("axe.run().then(({ violations }) => violations.map(({ help }) => help))")
    assert found == []
