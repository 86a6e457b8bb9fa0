"""The colours of a picture, converted for an ordinary screen.

Rule 1: PQ and HLG, which are made for screens ten times as bright, are mapped to sRGB. White
(203 cd/m², as in ITU-R BT.2408) stays white; brighter values are compressed into the range
above four fifths of it.

Rule 2: transparent pixels become black.

Rule 3: a colour matrix that is not declared, or that FFmpeg cannot convert, is guessed as
players do: BT.709 for HD, else BT.601.

FFmpeg's scaler maps HDR too, but computes a table for every size, which takes longer than all
other work on a picture.
"""

from __future__ import annotations

from functools import lru_cache

from av.filter import Graph
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorTrc

from wherry.assessment.timeline import TICK

#: The matrices that the scaler knows, as ITU-T H.273 numbers them.
KNOWN = frozenset((1, 4, 5, 6, 7, 9))
BT709, BT601, BT2020, RGB = 1, 6, 9, 0
#: From these sides on a picture is HD.
HD = (1280, 577)

_CODE = "(val/maxval)"
#: SMPTE ST 2084: light from a code, in parts of 1000 cd/m²; `p` is the code to the power 1/m2.
_P = f"pow({_CODE}\\,1/78.84375)"
_PQ = f"10*pow(max({_P}-0.8359375\\,0)/(18.8515625-18.6875*{_P})\\,1/0.1593017578125)"
#: ITU-R BT.2100: the light of the scene, and for a screen of 1000 cd/m² its 1.2th power.
_BRIGHT = f"(exp(({_CODE}-0.55991073)/0.17883277)+0.28466892)/12"
_SCENE = f"if(lt({_CODE}\\,0.5)\\,{_CODE}*{_CODE}/3\\,{_BRIGHT})"
_HLG = f"pow({_SCENE}\\,1.2)"
LIGHT: dict[int, str] = {ColorTrc.SMPTE2084: _PQ, ColorTrc.ARIB_STD_B67: _HLG}
#: In parts of white, with a knee.
_WHITES = f"({_CODE}*1000/203)"
_BENT = f"if(lt({_WHITES}\\,0.8)\\,{_WHITES}\\,1-0.2*exp((0.8-{_WHITES})/0.2))"
#: IEC 61966-2-1.
_SRGB = f"if(lt({_BENT}\\,0.0031308)\\,12.92*({_BENT})\\,1.055*pow({_BENT}\\,1/2.4)-0.055)"

#: From the primaries of ITU-R BT.2020, and of Display P3, to those of sRGB.
_FROM_2020 = (1.6605, -0.5876, -0.0728, -0.1246, 1.1329, -0.0083, -0.0182, -0.1006, 1.1187)
_FROM_P3 = (1.2249, -0.2247, 0.0, -0.0420, 1.0419, 0.0, -0.0197, -0.0786, 1.0979)
_SAME = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
PRIMARIES: dict[int, tuple[float, ...]] = {
    ColorPrimaries.BT709: _SAME,
    ColorPrimaries.SMPTE431: _FROM_P3,
    ColorPrimaries.SMPTE432: _FROM_P3,
}


def know_matrix(frame: VideoFrame) -> None:
    """Give the frame a colour matrix that it can be converted from."""
    if frame.format.is_rgb:
        frame.colorspace = RGB
    elif frame.colorspace not in KNOWN:
        is_hd = frame.width >= HD[0] or frame.height >= HD[1]
        frame.colorspace = BT2020 if is_hdr(frame) else BT709 if is_hd else BT601


def is_hdr(frame: VideoFrame) -> bool:
    return frame.color_trc in LIGHT


def as_shown(frame: VideoFrame, size: tuple[int, int]) -> VideoFrame:
    """The picture as an ordinary screen shows it, in this size where it had to be converted."""
    know_matrix(frame)
    has_alpha = any(component.is_alpha for component in frame.format.components)
    if not is_hdr(frame) and not has_alpha:
        return frame
    shape = (frame.width, frame.height, frame.format.name)
    light = (frame.color_trc, frame.color_primaries) if is_hdr(frame) else None
    graph = _chain(shape, (frame.colorspace, frame.color_range), size, has_alpha, light)
    graph.push(frame)
    return graph.vpull()


@lru_cache(maxsize=4)
def _chain(
    shape: tuple[int, int, str],
    colours: tuple[int, int],
    size: tuple[int, int],
    has_alpha: bool,
    light: tuple[int, int] | None,
) -> Graph:
    """The filters for frames of this shape; to prepare them takes longer than to use them."""
    width, height, pixels = shape
    matrix, spread = colours
    graph = Graph()
    graph.threads = 1
    source = graph.add(
        "buffer",
        f"video_size={width}x{height}:pix_fmt={pixels}:time_base={TICK}:pixel_aspect=1/1"
        f":colorspace={matrix}:range={spread}",
    )
    filters = [("scale", f"{size[0]}:{size[1]}:flags=area")]
    if has_alpha:
        filters += [("format", "gbrap16le"), ("premultiply", "inplace=1")]
    if light is not None:
        filters += [("format", "gbrp16le"), *_dimmed(*light)]
    nodes = [graph.add(*what) for what in (*filters, ("format", "gbrp"), ("buffersink", ""))]
    graph.link_nodes(source, *nodes).configure()
    return graph


def _dimmed(transfer: int, primaries: int) -> list[tuple[str, str]]:
    """From a code to light, to the primaries of sRGB, to a code."""
    light = f"min({LIGHT[transfer]}\\,1)*maxval"
    names = ("rr", "rg", "rb", "gr", "gg", "gb", "br", "bg", "bb")
    mix = ":".join(
        f"{n}={v}" for n, v in zip(names, PRIMARIES.get(primaries, _FROM_2020), strict=True)
    )
    code = f"({_SRGB})*maxval"
    return [
        ("lutrgb", f"r={light}:g={light}:b={light}"),
        ("colorchannelmixer", mix),
        ("lutrgb", f"r={code}:g={code}:b={code}"),
    ]
