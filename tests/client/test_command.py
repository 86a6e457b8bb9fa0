"""`wherry upload` and `wherry report`, as scripts and people use them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import anyio
import pytest
from tests.client.conftest import File
from tests.client.fake import Asked, FakeServer, Reply, page, problem, reply, serving
from typer.testing import CliRunner, Result

from wherry.cli import app
from wherry.cli.screen import Screen, render_facts
from wherry.client import Progress
from wherry.core.limits import KiB, MiB

pytestmark = pytest.mark.usefixtures("fast_line")


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


@pytest.fixture
def url(server: FakeServer) -> Iterator[str]:
    with serving(server) as port:
        yield f"http://127.0.0.1:{port}/api"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_json_is_one_line_a_file_and_nothing_else(server: FakeServer, url: str, file: File) -> None:
    first, second = file(6 * MiB), file(10)
    result = run("upload", first, second, url, "--json")
    assert result.exit_code == 0
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["file"] for line in lines] == [str(first), str(second)]
    assert [line["size"] for line in lines] == [6 * MiB, 10]
    assert [line["assessment_id"] for line in lines] == ["of-upload-0", "of-upload-1"]
    assert all(line["ok"] for line in lines)


def test_a_file_that_fails_does_not_keep_the_others_back(
    server: FakeServer, url: str, file: File
) -> None:
    good = file(10)
    result = run("upload", "/nowhere/at-all", good, url, "--json")
    assert result.exit_code == 1
    first, second = map(json.loads, result.stdout.splitlines())
    assert (first["ok"], second["ok"]) == (False, True)
    assert first["error"]["type"] == "FileNotFoundError"


def test_a_pipe_is_one_sentence(url: str, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    keeper = os.open(pipe, os.O_RDWR)
    result = run("upload", pipe, url)
    os.close(keeper)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "must be seekable" in result.stderr


def test_a_refusal_is_one_sentence_on_stderr_and_facts_in_json(
    server: FakeServer, url: str, file: File
) -> None:
    server.trouble = lambda asked: problem(415, "type-refused", detail="Text.", hint="Video!")
    result = run("upload", file(10), url)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "Text. Video!" in result.stderr
    assert "Traceback" not in result.stderr
    [line] = run("upload", file(10), url, "--json").stdout.splitlines()
    error = json.loads(line)["error"]
    assert error == {
        "type": "Refused",
        "detail": "Text.",
        "hint": "Video!",
        "code": "type-refused",
        "status": 415,
        "retryable": False,
    }


def test_what_the_way_refuses_is_said_once_for_each_size(
    server: FakeServer, url: str, file: File
) -> None:
    server.max_body = MiB
    result = run("upload", file(12 * MiB), url, "--parallel", "1")
    assert result.exit_code == 0
    assert result.stderr.count("refused on the way") == 1
    assert "2.0 MiB in one request; trying 1.0 MiB" in result.stderr
    assert "upload upload-0, assessment of-upload-0" in result.stdout


def test_options_reach_the_client(server: FakeServer, url: str, file: File) -> None:
    options = ["--chunk-size", "1MiB", "--metadata", "shelf=b=2", "--no-smart", "--key", "k"]
    assert run("upload", file(10), url, *options).exit_code == 0
    init = server.verbs("init")[0]
    assert init.json["chunk_size"] == MiB
    assert init.json["metadata"] == {"shelf": "b=2"}
    assert init.headers["authorization"] == "Bearer k"


def test_the_key_may_come_from_the_environment(
    server: FakeServer, url: str, file: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHERRY_API_KEY", "secret")
    run("upload", file(10), url)
    assert server.asked[0].headers["authorization"] == "Bearer secret"


@pytest.mark.parametrize(
    "options", [["--chunk-size", "big"], ["--metadata", "novalue"], ["--parallel", "0"]]
)
def test_options_that_make_no_sense_are_refused(url: str, file: File, options: list[str]) -> None:
    result = run("upload", file(10), url, *options)
    assert result.exit_code == 2
    assert result.stdout == ""


def test_an_address_that_is_none_is_one_sentence(file: File) -> None:
    result = run("upload", file(10), "example.org")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Write the address like https://example.org/api" in result.stderr


def test_an_upload_without_the_address_says_how_to_give_it(file: File) -> None:
    result = run("upload", "talk.mp4")
    assert (result.exit_code, result.stdout) == (2, "")
    said = " ".join(result.stderr.replace("│", " ").split())
    assert "the server's address is missing" in said
    assert "wherry upload talk.mp4 https://example.org/api" in said
    result = run("upload", "https://example.org/api")
    assert (result.exit_code, result.stdout) == (2, "")
    said = " ".join(result.stderr.replace("│", " ").split())
    assert "no file is given" in said
    assert "wherry upload FILE https://example.org/api" in said
    assert run("upload").exit_code == 2


STEPS = [
    {"name": "probe", "state": "done", "seconds": 0.25},
    {"name": "black", "state": "skipped"},
    {"name": "poster", "state": "waiting"},
]


def test_with_wait_the_steps_are_shown_and_a_failed_assessment_is_an_error(
    server: FakeServer, url: str, file: File
) -> None:
    server.assessments = [
        {"state": "running", "steps": STEPS},
        {"state": "failed", "steps": STEPS, "problem": "20 workers died"},
    ]
    result = run("upload", file(10), url, "--wait", "--json")
    assert result.exit_code == 1
    assert "probe: done 0.2 s" in result.stderr
    assert "black: skipped\n" in result.stderr
    assert "poster" not in result.stderr
    assert json.loads(result.stdout)["assessment"]["problem"] == "20 workers died"


def test_a_complete_upload_is_told_even_if_waiting_for_its_assessment_fails(
    server: FakeServer, url: str, file: File
) -> None:
    gone = problem(404, "not-found", detail="There is nothing here.")
    server.trouble = lambda asked: gone if "/assessments/" in asked.path else None
    result = run("upload", file(10), url, "--wait", "--json")
    assert result.exit_code == 1
    line = json.loads(result.stdout)
    assert (line["ok"], line["upload_id"]) == (False, "upload-0")
    assert line["error"]["code"] == "not-found"


def test_an_application_that_processes_uploads_itself_is_not_waited_for(
    server: FakeServer, url: str, file: File
) -> None:
    unknown = reply(404, {"detail": "Not Found"})
    server.trouble = lambda asked: unknown if "/assessments/" in asked.path else None
    result = run("upload", file(10), url, "--wait")
    assert result.exit_code == 0
    assert "its own processing; its id is of-upload-0" in result.stderr
    assert "assessment of-upload-0" in result.stdout
    asked = run("report", "of-upload-0", url)
    assert (asked.exit_code, asked.stdout) == (1, "")
    assert "processes its uploads itself" in asked.stderr


@pytest.mark.parametrize(("code", "exit_code"), [("not-for-guests", 0), ("ticket-revoked", 3)])
def test_a_guest_is_told_that_tickets_cannot_ask_for_assessments(
    server: FakeServer, url: str, file: File, code: str, exit_code: int
) -> None:
    refusal = problem(403, code)
    server.trouble = lambda asked: refusal if "/assessments/" in asked.path else None
    result = run("upload", file(10), url, "--wait", "--again", "--key", "wherry_guest_x", "--json")
    assert result.exit_code == exit_code
    line = json.loads(result.stdout)
    assert (line["ok"], line["upload_id"]) == (exit_code == 0, "upload-0")
    is_told = "not waiting: a guest ticket cannot ask for assessments" in result.stderr
    assert is_told is (exit_code == 0)


def _always(refusal: Reply, _: Asked) -> Reply:
    return refusal


@pytest.mark.parametrize(("key", "is_told"), [((), True), (("--key", "mine"), False)])
def test_who_gives_no_key_learns_how(
    server: FakeServer, url: str, file: File, key: tuple[str, ...], is_told: bool
) -> None:
    for refusal in (reply(401, {"detail": "sign in first"}), problem(401, "unauthorized")):
        server.trouble = partial(_always, refusal)
        for words in (("upload", file(10), url), ("report", "a", url)):
            result = run(*words, *key)
            assert result.exit_code == 3
            assert ("--key or WHERRY_API_KEY" in result.stderr) is is_told


def test_a_refused_size_is_told_once(server: FakeServer, url: str, file: File) -> None:
    server.max_body = 256 * KiB
    result = run("upload", file(6 * MiB), url, "--no-smart")
    assert result.exit_code == 0
    assert "refused on the way: 512.0 KiB in one request; trying 256.0 KiB" in result.stderr
    assert "too large" not in result.stderr


def test_ctrl_c_while_waiting_does_not_ask_for_the_file_again(
    server: FakeServer, url: str, file: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def interrupted(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)
        await anyio.sleep_forever()

    monkeypatch.setattr("wherry.client.AsyncClient.wait_for_assessment", interrupted)
    result = run("upload", file(10), url, "--wait")
    assert result.exit_code == 130
    assert "the upload is complete" in result.stderr
    assert "same command again" not in result.stderr
    assert "upload upload-0" in result.stdout


def test_a_report_that_is_not_there_yet_says_how_far_it_is(server: FakeServer, url: str) -> None:
    server.assessments = [{"state": "running", "steps": STEPS}]
    result = run("report", "a", url)
    assert (result.exit_code, result.stdout) == (
        0,
        "running: probe done, black skipped, poster waiting\n",
    )


def test_a_report_as_json_is_the_whole_answer(server: FakeServer, url: str) -> None:
    server.assessments = [{"state": "running"}, {"state": "done", "report": {"verdict": "pass"}}]
    result = run("report", "a", url, "--wait", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["report"] == {"verdict": "pass"}


def test_an_assessment_that_failed_is_told_once(server: FakeServer, url: str) -> None:
    server.assessments = [{"state": "failed", "problem": "Its worker died three times."}]
    result = run("report", "a", url)
    assert result.exit_code == 1
    assert result.stdout == "failed: Its worker died three times.\n"
    assert result.stderr == ""


def test_an_unknown_assessment_is_one_sentence(server: FakeServer, url: str) -> None:
    server.trouble = lambda asked: problem(404, "not-found", detail="There is nothing here.")
    result = run("report", "a", url)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "There is nothing here." in result.stderr


def test_where_no_bar_is_drawn_each_position_in_the_queue_is_printed_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    screen = Screen()
    with screen.following("talk.mp4"):
        for place in (3, 3, 1):
            screen.show(Progress("waiting", 10 * MiB, position=place, retry_after=5))
        screen.show(Progress("sending", 10 * MiB))
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("waiting: ")]
    assert told == ["waiting: position 3 in the queue", "waiting: position 1 in the queue"]


def test_a_file_that_is_not_there_is_told_in_words(url: str, tmp_path: Path) -> None:
    missing = tmp_path / "nowhere.mp4"
    result = run("upload", missing, url)
    assert result.exit_code == 1
    assert f"{missing}: No such file or directory" in result.stderr.splitlines()


def test_with_wait_a_server_that_assesses_nothing_is_told(
    server: FakeServer, url: str, file: File
) -> None:
    answer = {"upload_id": "upload-0", "assessment_id": None, "state": "complete", "size": 10}
    done = reply(200, answer)
    server.trouble = lambda asked: done if asked.path.endswith("/upload") else None
    result = run("upload", file(10), url, "--wait")
    assert result.exit_code == 0
    assert "nothing is assessed" in result.stderr
    assert "nothing is assessed" not in run("upload", file(10), url).stderr


def test_what_stands_behind_the_bar() -> None:
    now = Progress("sending", 10 * MiB, 3 * MiB, 2 * MiB, speed=MiB, seconds_left=70)
    assert render_facts(now) == "2.0 MiB of 10.0 MiB safe, 1.0 MiB/s, 1:10 left"
    waiting = Progress("waiting", 10 * MiB, position=3, retry_after=5)
    assert render_facts(waiting) == (
        "0 B of 10.0 MiB safe, waiting, position 3 in the queue, next try in 5 s"
    )


def test_nothing_that_a_server_says_controls_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Screen().say("a\x1b[2Jb\nc")
    assert capsys.readouterr().err == "a\ufffd[2Jb\ufffdc\n"


def test_the_same_command_again_sends_only_what_is_new(
    server: FakeServer, url: str, file: File
) -> None:
    first, second, third = file(10), file(6 * MiB), file(20)
    assert run("upload", first, second, url).exit_code == 0
    again = run("upload", first, second, third, url)
    assert again.exit_code == 0
    assert [line.split(": ")[1].split(",")[0] for line in again.stdout.splitlines()] == [
        "already uploaded",
        "already uploaded",
        "complete",
    ]
    assert len(server.uploads) == 3
    assert run("upload", first, second, third, url, "--again").exit_code == 0
    assert len(server.uploads) == 6


def test_a_file_has_the_name_that_is_given_to_it(server: FakeServer, url: str, file: File) -> None:
    assert run("upload", file(10), url, "--name", "Vorlesung 1.mp4").exit_code == 0
    assert server.uploads["upload-0"].filename == "Vorlesung 1.mp4"
    several = run("upload", file(10), file(20), url, "--name", "a.mp4")
    assert several.exit_code == 2
    assert "one file" in several.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="needs bytes that are no text in a name")
def test_a_name_that_is_not_utf8_can_be_sent(server: FakeServer, url: str, tmp_path: Path) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.mp4")
    Path(path).write_bytes(b"film")
    for option in ("--smart", "--no-smart"):
        command = [sys.executable, "-m", "wherry", "upload", path, url, option, "--again"]
        done = subprocess.run(command, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
    assert {upload.filename for upload in server.uploads.values()} == {"caf\ufffd.mp4"}


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "/proc/cpuinfo"])
def test_what_has_no_length_is_refused_in_a_sentence(url: str, path: str) -> None:
    if not Path(path).exists():
        pytest.skip(f"there is no {path}")
    result = run("upload", path, url)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "length" in result.stderr


def test_many_small_files_are_sent_at_once_and_a_large_one_alone(
    server: FakeServer, url: str, tmp_path: Path
) -> None:
    sizes = [1000] * 9 + [6 * MiB] + [2000] * 9
    files = [tmp_path / f"{number}.mp4" for number in range(len(sizes))]
    for file, size in zip(files, sizes, strict=True):
        file.write_bytes(os.urandom(size))
    small_at_once: list[int] = []
    beside_the_large_one: list[int] = []

    async def hold(verb: str) -> None:
        await anyio.sleep(0.01)
        if verb == "upload":
            small_at_once.append(server.at_once)
        elif verb == "init":
            beside_the_large_one.append(server.at_once - 1)

    server.hold = hold
    result = run("upload", *files, url, "--again", "--json")
    assert result.exit_code == 0, result.stderr
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert sorted(line["file"] for line in lines) == sorted(map(str, files))
    assert max(small_at_once) == 4
    assert beside_the_large_one == [0]
    sent = {upload.filename: bytes(upload.data) for upload in server.uploads.values()}
    assert sent == {file.name: file.read_bytes() for file in files}
    assert len(server.peers) <= 4


def test_a_line_about_one_of_several_small_files_names_it(
    server: FakeServer, url: str, tmp_path: Path
) -> None:
    server.max_body = 100 * KiB
    files = [tmp_path / "a.jpg", tmp_path / "b.jpg"]
    for file in files:
        file.write_bytes(os.urandom(MiB))
    result = run("upload", *files, url)
    assert result.exit_code == 0
    refused = [line for line in result.stderr.splitlines() if "refused on the way" in line]
    assert {line.partition(": ")[0] for line in refused} <= set(map(str, files))
    assert refused


def test_a_key_and_credentials_in_the_address_are_one_too_many(url: str, file: File) -> None:
    result = run("upload", file(10), url.replace("http://", "http://me:secret@"), "--key", "k")
    assert result.exit_code == 1
    assert "in place of the key" in result.stderr
    assert "secret" not in result.stderr


@pytest.mark.parametrize(
    ("location", "told"),
    [
        (
            "https://uploads.example.org/v2/api/chunked-upload/upload",
            "https://uploads.example.org/v2/api",
        ),
        ("/v2/api/chunked-upload/upload?x=1", "/v2/api"),
    ],
)
def test_a_redirect_tells_the_address_to_use(
    server: FakeServer, url: str, file: File, location: str, told: str
) -> None:
    server.trouble = lambda asked: page(307, location=location)
    result = run("upload", file(10), url, "--again")
    assert result.exit_code == 1
    assert f"{told} Nothing was lost. Use that address." in result.stderr.replace("\n", " ")


def test_a_redirect_to_a_login_page_is_told_as_one(
    server: FakeServer, url: str, file: File
) -> None:
    server.trouble = lambda asked: page(302, location="/login?next=x")
    result = run("upload", file(10), url)
    assert result.exit_code == 1
    assert "/login" in result.stderr
    assert "login page" in result.stderr


def test_https_to_a_server_without_tls_is_told_at_once(url: str, file: File) -> None:
    result = run("upload", file(10), url.replace("http://", "https://"))
    assert result.exit_code == 4
    assert "does not speak TLS" in result.stderr
    assert "retrying" not in result.stderr
