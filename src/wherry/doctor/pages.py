"""The pages that `remedies.toml` is the source of: pure functions of it."""

from __future__ import annotations

from collections.abc import Iterator

from wherry.doctor.remedies import PROXIES, Known, Remedy

#: What stands around the tables in docs/howto/fix-the-ingress.md.
BEGIN, END = "<!-- {name}: made from remedies.toml -->", "<!-- end of {name} -->"


def render_remedy(remedy: Remedy, heading: str = "##") -> str:
    """As Markdown."""
    return "\n".join(_remedy(remedy, heading)) + "\n"


def _remedy(remedy: Remedy, heading: str) -> Iterator[str]:
    yield f"{heading} {remedy.title}"
    yield ""
    yield remedy.text
    for snippet in remedy.snippets:
        yield ""
        if snippet.about:
            yield snippet.about
            yield ""
        yield f"```{snippet.language}"
        yield snippet.code
        yield "```"
    if remedy.after:
        yield ""
        yield remedy.after


def render_sections() -> str:
    """The sections of the letter about the proxies that can be changed."""
    return "\n".join(
        render_remedy(known.remedy) for known in PROXIES.values() if known.is_in_letter
    )


def render_fixed_rows() -> str:
    """The rows of the letter's table of what cannot be raised."""
    rows = [row for known in PROXIES.values() for row in known.letter_rows]
    return "".join(f"| {' | '.join(row)} |\n".replace("|  |", "| |") for row in rows)


def render_changeable() -> str:
    """The table of the how-to: the proxies whose limit can be changed."""
    lines = ["| in front | refuses above | the line to change |", "|---|---|---|"]
    for names, known in _by_refusal():
        lines.append(f"| {names} | {known.refuses} | {known.line or _to_letter(known)} |")
    return "\n".join(lines) + "\n"


def _to_letter(known: Known) -> str:
    anchor = "".join(c for c in known.title.lower() if c.isalnum() or c in " -").replace(" ", "-")
    return f"[in the letter](../../examples/assessment_app/INGRESS_FIX_REQUIRED.md#{anchor})"


def _by_refusal() -> Iterator[tuple[str, Known]]:
    for known in PROXIES.values():
        if known.refuses and not known.is_fixed:
            yield f"**{known.label or known.title}**", known


def render_fixed() -> str:
    """The table of the how-to: the limits that cannot be changed."""
    lines = ["| in front | refuses above |", "|---|---|"]
    lines += [f"| {k.title} | {k.refuses} |" for k in PROXIES.values() if k.is_fixed]
    return "\n".join(lines) + "\n"


def render_times() -> str:
    """The table of the how-to: the times of proxies that the letter does not have."""
    lines = ["| in front | ends a request after | the line to change |", "|---|---|---|"]
    lines += [f"| **{k.title}** | {k.ends} | {k.clock} |" for k in PROXIES.values() if k.ends]
    return "\n".join(lines) + "\n"


TABLES = {"limits": render_changeable, "fixed limits": render_fixed, "times": render_times}
SECTIONS = {"sections": render_sections, "rows": render_fixed_rows}


def filled(page: str, parts: dict[str, str]) -> str:
    """`page` with new text between its marks. Raises `ValueError` if a mark is missing."""
    for name, text in parts.items():
        begin, end = BEGIN.format(name=name), END.format(name=name)
        head, found, rest = page.partition(begin)
        _, closed, tail = rest.partition(end)
        if not found or not closed:
            raise ValueError(f"the page has no marks for {name}")
        page = f"{head}{begin}\n{text}{end}{tail}"
    return page
