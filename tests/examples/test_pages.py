"""The pages about the examples show the examples as they are."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import httpx2
import pytest
import yaml  # type: ignore[import-untyped]
from tests.docs.pages import ROOT, blocks, links, slugs
from tests.examples.edits import APPLICATION, PAGE, PROMISED, ROUTER, SERVER
from tests.examples.edits import after as files_after
from tests.examples.running import configured, running_example

from wherry.testing.nginx import require_nginx

HOW_TO = "howto/existing-fastapi-application.md"
LETTER = APPLICATION / "INGRESS_FIX_REQUIRED.md"
_YAML = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NGINX = re.compile(r"^```nginx\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def after(file: str) -> str:
    return files_after()[file].decode()


def test_the_how_to_shows_the_edits_and_the_router_as_they_are() -> None:
    python, js = blocks(HOW_TO, "python"), blocks(HOW_TO, "js")
    assert all(line in python[0] for line in PROMISED[:2])
    assert python[1] == after(ROUTER)
    assert all(line in js[0] for line in PROMISED[2:])
    for line in python[0].splitlines():
        assert line in after(SERVER).splitlines()
    for line in js[0].splitlines():
        assert line.strip() in [shown.strip() for shown in after(PAGE).splitlines()]


def test_the_how_to_shows_the_check_of_the_origin_as_it_is() -> None:
    [shown] = [b for b in blocks(HOW_TO, "python") if b.startswith("# backend/auth.py\n")]
    assert shown.removeprefix("# backend/auth.py\n") in after("backend/auth.py")


def test_the_page_about_celery_shows_the_example_as_it_is() -> None:
    example = ROOT / "examples" / "celery_app"
    text = (example / "server.py").read_text() + (example / "tasks.py").read_text()
    shown = blocks("howto/hand-over-to-celery.md", "python")
    assert len(shown) == 3
    for block in shown:
        assert re.sub(r"^# \w+\.py\n", "", block) in text


@pytest.mark.parametrize("package", ["streamlit", "gradio"])
def test_the_pages_about_pages_in_python_show_the_examples_as_they_are(package: str) -> None:
    example = ROOT / "examples" / f"{package}_app"
    shown = re.compile(r"^# (\w+\.py)\n(.*)", re.DOTALL)
    found = [match for b in blocks(f"howto/{package}.md", "python") if (match := shown.match(b))]
    assert len(found) >= 4
    for match in found:
        assert match[2] in (example / match[1]).read_text()


def test_the_page_about_supervisor_has_the_numbers_of_the_example() -> None:
    [shown] = blocks("howto/run-under-supervisor.md", "ini")
    example = (APPLICATION / "supervisord.conf").read_text()
    for line in ("stopwaitsecs=10", "--timeout-graceful-shutdown 3"):
        assert line in shown
        assert line in example


@pytest.mark.parametrize("page", sorted((ROOT / "examples").glob("*/*.md")), ids=lambda p: p.name)
def test_every_link_of_an_examples_page_leads_somewhere(page: Path) -> None:
    found = list(links(page))
    assert found
    for target, anchor in found:
        assert target.exists(), f"there is no {target}"
        assert not anchor or anchor in slugs(target)


# The letter to who runs the ingress.


def test_every_yaml_of_the_letter_can_be_read() -> None:
    shown = _YAML.findall(LETTER.read_text())
    assert len(shown) > 5
    for block in shown:
        assert all(isinstance(document, dict) for document in yaml.safe_load_all(block))


@pytest.mark.nginx
def test_nginx_accepts_what_the_letter_says(tmp_path: Path) -> None:
    program = require_nginx()
    [block] = _NGINX.findall(LETTER.read_text())
    text = configured("nginx.conf", {}, "1m").replace("location /api {", "location /api {" + block)
    (tmp_path / "nginx.conf").write_text(text)
    (tmp_path / "run").mkdir()
    command = [program, "-t", "-p", str(tmp_path), "-c", "nginx.conf", "-e", "stderr"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_letters_check_tells_a_narrow_ingress_from_a_wide_one(tmp_path: Path) -> None:
    (tmp_path / "test.bin").write_bytes(bytes(6 << 20))
    answers = []
    for limit in ("1m", "600m"):
        with running_example("after", limit=limit) as example:
            url = f"{example.url}/api/chunked-upload/chunk"
            answers.append(httpx2.post(url, content=(tmp_path / "test.bin").read_bytes()))
    assert [answer.status_code for answer in answers] == [413, 401]
    assert re.search(r"<center>nginx[^<]*</center>", answers[0].text)
