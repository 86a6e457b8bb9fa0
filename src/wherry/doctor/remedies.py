"""What to change in which proxy: read from `remedies.toml`, the one source of these texts."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any

#: The size and the time that the lines to change ask for: of the largest file in one request.
MEGABYTES, SECONDS = 600, 600


@dataclass(frozen=True, slots=True)
class Snippet:
    language: str
    about: str
    code: str


@dataclass(frozen=True, slots=True)
class Remedy:
    proxy: str
    title: str
    text: str
    snippets: tuple[Snippet, ...] = ()
    after: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """A proxy of the file: its remedy, and its rows in the tables of the pages.

    `host`: the line by which it passes the header Host on, if it does not do that by itself.
    """

    remedy: Remedy
    host: Snippet | None = None
    is_in_kubernetes: bool = False
    also: tuple[str, ...] = ()
    is_in_letter: bool = False
    is_fixed: bool = False
    label: str = ""
    refuses: str = ""
    line: str = ""
    ends: str = ""
    clock: str = ""
    letter_rows: tuple[tuple[str, ...], ...] = ()

    @property
    def title(self) -> str:
        return self.remedy.title


def _read() -> dict[str, Any]:
    text = (files("wherry.doctor") / "remedies.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def _remedy(name: str, entry: Mapping[str, Any]) -> Remedy:
    snippets = tuple(map(_snippet, entry.get("snippet", ())))
    text, after = entry["text"].strip(), entry.get("after", "").strip()
    return Remedy(name, entry["title"], text, snippets, after)


def _snippet(entry: Mapping[str, str]) -> Snippet:
    return Snippet(entry["language"], entry.get("about", ""), _filled(entry["code"]))


def _filled(code: str) -> str:
    """The braces of the code itself stay as they are."""
    values = {"m": MEGABYTES, "bytes": MEGABYTES << 20, "s": SECONDS}
    for name, value in values.items():
        code = code.replace(f"{{{name}}}", str(value))
    return code.strip("\n")


def _known(entry: Mapping[str, Any]) -> Known:
    return Known(
        _remedy(entry["name"], entry),
        _snippet(entry["host"]) if "host" in entry else None,
        entry.get("kubernetes", False),
        tuple(entry.get("also", ())),
        entry.get("letter", False),
        entry.get("fixed", False),
        entry.get("label", ""),
        entry.get("refuses", ""),
        entry.get("line", ""),
        entry.get("ends", ""),
        entry.get("clock", ""),
        tuple(map(tuple, entry.get("letter_rows", ()))),
    )


_FILE = _read()
#: All proxies of the file, in its order, by name.
PROXIES: Mapping[str, Known] = {entry["name"]: _known(entry) for entry in _FILE["proxy"]}
UNKNOWN = _remedy("unknown", _FILE["unknown"])
WHERRY = _remedy("wherry", _FILE["wherry"])

#: Proxies that answer alike, so that only their operator can tell which one it is.
ALIKE = {
    "nginx": ("nginx", "ingress-nginx", "f5-nginx-ingress", "nginx-gateway-fabric"),
    "envoy": ("envoy", "envoy-gateway"),
}
#: What follows a proxy that gets no more fixes.
FOLLOWING = {"ingress-nginx": ("ingress-nginx", "nginx-gateway-fabric", "envoy-gateway", "traefik")}


def remedies_for(names: Iterable[str]) -> tuple[Remedy, ...]:
    """The remedies for proxies of these names; the one for unknown ones where none is known."""
    found: dict[str, Remedy] = {}
    for name in names:
        if name == WHERRY.proxy:
            found[name] = WHERRY
        for each in ALIKE.get(name) or FOLLOWING.get(name) or (name,):
            for known in PROXIES.values():
                if each == known.remedy.proxy or each in known.also:
                    found[known.remedy.proxy] = known.remedy
    return tuple(found.values()) or (UNKNOWN,)


def with_host(remedies: tuple[Remedy, ...], names: Iterable[str]) -> tuple[Remedy, ...]:
    """These remedies, and the lines by which proxies of these names pass the header Host on."""
    found = {remedy.proxy: remedy for remedy in remedies}
    for name in names:
        known = PROXIES.get(name)
        if known is None or known.host is None:
            continue
        if name in found:
            snippets = (*found[name].snippets, known.host)
            found[name] = replace(found[name], snippets=snippets)
        else:
            line = replace(known.host, about="")
            found[name] = Remedy(name, known.title, known.host.about, (line,))
    return tuple(found.values())
