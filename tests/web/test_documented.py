"""The reference lists what there is, and nothing else."""

from __future__ import annotations

import re

from tests.web.conftest import STATIC, WEB

PAGE = (WEB.parent / "docs" / "reference" / "javascript.md").read_text()


def section(title: str) -> str:
    [found] = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S)
    return str(found)


def first_column(title: str) -> set[str]:
    """The names in the first cells of the section's tables."""
    cells = re.findall(r"^\| ([^|]*) \|", section(title), re.M)
    return {name for cell in cells for name in re.findall(r"`(\w+)[^`]*`", cell)}


def members(interface: str) -> set[str]:
    source = "".join(
        (WEB / "src" / name).read_text() for name in ("core/types.ts", "react/useUpload.ts")
    )
    [body] = re.findall(rf"^export interface {interface} {{\n(.*?)^}}", source, re.M | re.S)
    return set(re.findall(r"^  (?:readonly )?(\w+)\??[:(]", body, re.M))


def exported() -> set[str]:
    [names] = re.findall(r"^export { (.*) };$", (STATIC / "chunkedUploadApi.js").read_text(), re.M)
    return set(names.split(", "))


def test_every_option_is_there() -> None:
    assert first_column("Options") == members("UploadOptions")


def test_every_detail_is_there() -> None:
    assert first_column("Details") == members("UploadDetails")


def test_every_state_is_there() -> None:
    source = (WEB / "src" / "core" / "types.ts").read_text()
    [states] = re.findall(r"export type UploadState =\n(.*?)\n\n", source, re.S)
    [row] = re.findall(r"^\| `state` \|(.*)\|$", section("Details"), re.M)
    assert set(re.findall(r"`(\w+)`", row)) == set(re.findall(r"'(\w+)'", states))


def test_every_member_of_an_upload_is_there() -> None:
    assert first_column("An upload") == members("Upload")


def test_every_field_of_the_react_hook_is_there() -> None:
    assert first_column("The React hook") == members("UseUpload")


def test_everything_that_is_exported_is_there() -> None:
    errors = first_column("Errors") & {name for name in exported() if name[0].isupper()}
    named = first_column("Functions") | errors | {"defaults", "UploadFailure"}
    assert exported() == named
