/**
 * What is drawn on the time axis of a report. Times are seconds from the beginning of the file.
 *
 * Rule 1: a report may say anything, because hostile files are decoded for it. Whatever it says, what
 * is drawn is bounded and lies on the axis.
 */

import type { Curve, Finding, Report } from './server'

/** How many rows of marks are drawn; findings beyond are in the table. */
export const LANES = 4
const MARKS = 500
/** How wide a mark is at least, as a part of the axis. */
const NARROWEST = 0.05
/** The loudness at the bottom of the axis, in LUFS; the top is 0. */
export const QUIETEST = -60
const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 28_800]
const LABELS = 5

/** How long the axis is; 0: nothing has a place in time. */
export function lengthOf({ probe, findings, audio, integrity }: Report): number {
  const declared = probe?.duration ?? 0
  if (declared > 0) return declared
  const curve = audio?.loudness_curve
  const ends = [
    ...(integrity?.streams ?? []).map(({ end }) => end ?? 0),
    ...findings.map(({ start, end }) => end ?? start ?? 0),
    curve ? curve.every * curve.values.length : 0,
  ]
  return Math.max(0, ...ends.filter(Number.isFinite))
}

/** Times with a label, at even distances: as many as fit a phone. */
export function ticks(length: number): number[] {
  const step = STEPS.find((each) => length / each < LABELS) ?? length / (LABELS - 1)
  const count = step > 0 ? Math.floor(length / step + 1e-9) : 0
  return Array.from({ length: count + 1 }, (_, number) => number * step)
}

export interface Mark {
  finding: Finding
  lane: number
  /** Parts of the axis, 0 to 1. */
  from: number
  to: number
}

/** The findings that have a time, in rows in which none hides another. */
export function marks(findings: readonly Finding[], length: number): Mark[] {
  const free: number[] = []
  const found: Mark[] = []
  if (!(length > 0)) return found
  const timed = findings.filter(({ start }) => start !== null).sort((a, b) => a.start! - b.start!)
  for (const finding of timed.slice(0, MARKS)) {
    const from = part(finding.start!, length, 1 - NARROWEST)
    const to = Math.max(part(finding.end ?? finding.start!, length, 1), from + NARROWEST)
    const lane = free.findIndex((end) => end <= from)
    const place = lane < 0 ? free.length : lane
    if (place >= LANES) continue
    free[place] = to
    found.push({ finding, lane: place, from, to })
  }
  return found
}

function part(at: number, length: number, most: number): number {
  const found = at / length
  return found > 0 ? Math.min(found, most) : 0
}

/** Where the sound lies, as parts of the axis. */
export function soundSpan({ audio, integrity }: Report, length: number): [from: number, to: number] {
  const stream = integrity?.streams.find(({ index }) => index === audio?.stream)
  const from = part(stream?.start ?? 0, length, 1)
  const to = part(stream?.end ?? length, length, 1)
  return to > from ? [from, to] : [0, 1]
}

/** The curve as the path of an SVG, 1 unit wide for each stretch, from 0 (0 LUFS) to 60 down. */
export function curvePath({ values }: Curve): string {
  let path = ''
  let isDrawing = false
  values.forEach((value, number) => {
    if (value === null) {
      isDrawing = false
      return
    }
    const y = -Math.min(Math.max(value, QUIETEST), 0)
    path += isDrawing ? `L${number + 0.5} ${y}` : `M${number} ${y}L${number + 0.5} ${y}`
    isDrawing = true
  })
  return path
}

/** A picture of a storyboard: the seconds at which it is shown, and where it lies in the sprite. */
export interface Cue {
  start: number
  end: number
  x: number
  y: number
  width: number
  height: number
}

const CUES = 500
const STAMP = String.raw`(?:(\d+):)?(\d\d):(\d\d)\.(\d{3})`
const CUE = new RegExp(
  `^${STAMP}[ \\t]+-->[ \\t]+${STAMP}[^\\n]*\\n[^\\n#]*#xywh=(\\d+),(\\d+),(\\d+),(\\d+)[ \\t]*$`,
  'gm',
)

/** The cues of a WebVTT file that name a part of a picture each; others are left out. */
export function parseCues(vtt: string): Cue[] {
  const found: Cue[] = []
  for (const match of vtt.replaceAll('\r\n', '\n').matchAll(CUE)) {
    const number = (group: number) => Number(match[group] ?? 0)
    const time = (group: number) =>
      number(group) * 3600 + number(group + 1) * 60 + number(group + 2) + number(group + 3) / 1000
    const [x, y, width, height] = [number(9), number(10), number(11), number(12)]
    if (width > 0 && height > 0) found.push({ start: time(1), end: time(5), x, y, width, height })
    if (found.length === CUES) break
  }
  return found
}

/** The sides of the sprite that has all these pictures. */
export function spriteOf(cues: readonly Cue[]): { width: number; height: number } {
  const right = cues.map(({ x, width }) => x + width)
  const bottom = cues.map(({ y, height }) => y + height)
  return { width: Math.max(0, ...right), height: Math.max(0, ...bottom) }
}

/** The picture that is shown at this time; null if there is none at all. */
export function cueAt(cues: readonly Cue[], at: number): Cue | null {
  return cues.findLast(({ start }) => start <= at) ?? cues[0] ?? null
}

/** So many pictures for equal parts of the axis, each from the middle of its part. */
export function strip(cues: readonly Cue[], length: number, count: number): Cue[] {
  if (cues.length === 0) return []
  const middle = (number: number) => ((number + 0.5) * length) / count
  return Array.from({ length: count }, (_, number) => cueAt(cues, middle(number))!)
}

/** At most so many of the pictures, evenly chosen. */
export function choose(cues: readonly Cue[], most: number): Cue[] {
  const count = Math.min(most, cues.length)
  return Array.from(
    { length: count },
    (_, number) => cues[Math.floor(((2 * number + 1) * cues.length) / (2 * count))]!,
  )
}
