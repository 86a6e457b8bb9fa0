"""Policies are read from TOML, and one that is wrong says how."""

from __future__ import annotations

from pathlib import Path

import pytest

from wherry.assessment.policy import (
    BUILT_IN,
    CONDITIONS,
    MEASURES,
    POLICIES,
    PolicyError,
    Severity,
    load_policy,
    parse_policy,
)


def policy_file(folder: Path, text: str) -> str:
    path = folder / "house.toml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_built_in_policy_is_found_by_its_name(name: str) -> None:
    policy = load_policy(name)
    assert policy.name == name
    assert set(policy.limits) <= set(MEASURES)
    assert policy.limits["errors"] == {Severity.FAIL: 0.0}
    assert policy.limits["missing_bytes"] == {Severity.FAIL: 0.0}


def test_a_policy_of_ones_own_is_found_by_its_path(tmp_path: Path) -> None:
    policy = load_policy(policy_file(tmp_path, 'no_audio = "fail"\nblack = { warn = 3 }\n'))
    assert (policy.name, policy.conditions) == ("house", {"no_audio": Severity.FAIL})
    # What it does not name is not judged.
    assert policy.judge("freeze", 1e9) is None
    assert policy.judge("black", 2.9) is None
    assert policy.judge("black", 3.0) == (Severity.WARN, 3.0)


def test_a_policy_may_begin_with_another_and_change_it(tmp_path: Path) -> None:
    text = 'extends = "web"\nno_audio = {}\nblack = { fail = 10 }\nfreeze = {}\n'
    policy = load_policy(policy_file(tmp_path, text))
    assert policy.limits["errors"] == POLICIES["web"].limits["errors"]
    assert policy.judge("black", 9) is None
    assert policy.judge("freeze", 1e9) is None
    assert policy.conditions.keys() == POLICIES["web"].conditions.keys() - {"no_audio"}


def test_the_worst_that_is_reached_counts() -> None:
    policy = parse_policy("p", "p", "quiet = { info = -20, warn = -23.5, fail = -24 }")
    assert policy.judge("quiet", -20) is None
    assert policy.judge("quiet", -21) == (Severity.INFO, -20)
    assert policy.judge("quiet", -23.6) == (Severity.WARN, -23.5)
    assert policy.judge("quiet", -30) == (Severity.FAIL, -24)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("blak = { warn = 1 }", "`blak` is not known; is `black` meant?"),
        ("zzz = 1", "`zzz` is not known"),
        ("black = 3", "`black` is a table, like { warn = 1.5 }, not 3"),
        ('black = { warn = "3" }', "`black.warn` is a number, not '3'"),
        ("black = { warn = true }", "`black.warn` is a number, not True"),
        ("black = { warn = nan }", "`black.warn` is a number, not nan"),
        ("black = { bad = 3 }", "`black`: 'bad' is none of info, warn, fail"),
        ('no_video = "bad"', "`no_video`: 'bad' is none of info, warn, fail"),
        ("no_video = 1", "`no_video`: 1 is none of info, warn, fail"),
        ('extends = "wbe"', f"`extends` is one of {', '.join(BUILT_IN)}, not 'wbe'"),
        ("black = ", "it is no TOML"),
        (
            'video_codecs = "h264"',
            "`video_codecs` is a table, like { fail = [\"h264\"] }, not 'h264'",
        ),
        ('video_codecs = { fail = "h264" }', "`video_codecs.fail` is a list of names, not 'h264'"),
        ("video_codecs = { fail = [264] }", "`video_codecs.fail` is a list of names, not [264]"),
        ('audio_codecs = { bad = ["aac"] }', "`audio_codecs`: 'bad' is none of info, warn, fail"),
        (
            'video_codec = { fail = ["h264"] }',
            "`video_codec` is not known; is `video_codecs` meant?",
        ),
    ],
)
def test_a_policy_that_is_wrong_says_how(tmp_path: Path, text: str, problem: str) -> None:
    path = policy_file(tmp_path, text)
    with pytest.raises(PolicyError) as caught:
        load_policy(path)
    assert str(caught.value).startswith(f"policy {path}: {problem}")


def test_a_policy_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=f"neither {', '.join(BUILT_IN)} nor a file"):
        load_policy("wbe")
    with pytest.raises(PolicyError, match="cannot be read: No such file"):
        load_policy(str(tmp_path / "gone.toml"))
    (tmp_path / "latin.toml").write_bytes(b"# \xe9\n")
    with pytest.raises(PolicyError, match="not UTF-8"):
        load_policy(str(tmp_path / "latin.toml"))


def test_codecs_that_are_not_named_are_refused() -> None:
    text = (
        'video_codecs = { warn = ["h264"], fail = ["h264", "hevc"] }\naudio_codecs = { info = [] }'
    )
    policy = parse_policy("p", "p", text)
    assert policy.judge_codec("video", "h264") is None
    assert policy.judge_codec("video", "hevc") == (Severity.WARN, ("h264",))
    assert policy.judge_codec("video", "prores") == (Severity.FAIL, ("h264", "hevc"))
    assert policy.judge_codec("audio", "aac") == (Severity.INFO, ())
    assert policy.judge_codec("subtitle", "ass") is None


def test_every_measure_and_condition_is_judged_somewhere() -> None:
    limits = {name for policy in POLICIES.values() for name in policy.limits}
    conditions = {name for policy in POLICIES.values() for name in policy.conditions}
    of_the_house = {"short", "long", "small"}
    assert (limits | of_the_house, conditions) == (set(MEASURES), set(CONDITIONS))
