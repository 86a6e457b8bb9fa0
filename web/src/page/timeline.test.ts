import { expect, test } from 'vitest'
import type { Finding, Report } from './server'
import {
  choose,
  cueAt,
  curvePath,
  LANES,
  lengthOf,
  marks,
  parseCues,
  soundSpan,
  spriteOf,
  strip,
  ticks,
} from './timeline'

const finding = (start: number | null, end: number | null = null): Finding => ({
  code: 'VIS-BLACK',
  severity: 'warn',
  message: 'It is black.',
  start,
  end,
})

const report = (more: Partial<Report>): Report => ({
  verdict: 'pass',
  policy: 'web',
  findings: [],
  artefacts: [],
  probe: null,
  ...more,
})

test.each([
  [0, [0]],
  [0.35, [0, 0.1, 0.2, 0.3]],
  [4, [0, 1, 2, 3, 4]],
  [20, [0, 5, 10, 15, 20]],
  [25, [0, 10, 20]],
  [3600, [0, 900, 1800, 2700, 3600]],
  [7201, [0, 1800, 3600, 5400, 7200]],
])('an axis of %d seconds has its labels at %j', (length, expected) => {
  const found = ticks(length)
  expect(found).toHaveLength(expected.length)
  found.forEach((at, number) => expect(at).toBeCloseTo(expected[number]!, 6))
})

test('the labels of any length are few', () => {
  for (const length of [1e-3, 1, 59, 1e4, 86_400, 1e9]) {
    expect(ticks(length).length).toBeLessThanOrEqual(6)
  }
})

test('the axis is as long as the file says, or else as long as what was found', () => {
  expect(lengthOf(report({ probe: { duration: 20 }, findings: [finding(30)] }))).toBe(20)
  expect(lengthOf(report({ findings: [finding(3, 9), finding(null)] }))).toBe(9)
  expect(lengthOf(report({ audio: { loudness_curve: { every: 0.5, values: [-20, null] } } }))).toBe(1)
  expect(lengthOf(report({}))).toBe(0)
})

test('findings at the same time lie in different rows, and others share one', () => {
  const found = marks([finding(2, 4), finding(3, 5), finding(6), finding(null)], 10)
  expect(found.map(({ lane, from, to }) => [lane, from, to])).toEqual([
    [0, 0.2, 0.4],
    [1, 0.3, 0.5],
    [0, 0.6, 0.65],
  ])
})

test('whatever the times are, marks are bounded, lie on the axis, and hide no other', () => {
  const times = [-5, 0, NaN, 3, 9.999, 10, 1e9]
  const many = times.flatMap((start) => times.map((end) => finding(start, end)))
  const found = marks([...many, ...many], 10)
  for (const { lane, from, to } of found) {
    expect(lane).toBeLessThan(LANES)
    expect(from).toBeGreaterThanOrEqual(0)
    expect(to).toBeGreaterThan(from)
    expect(to).toBeLessThanOrEqual(1 + 1e-9)
  }
  const inLane = found.filter(({ lane }) => lane === 0)
  inLane.slice(1).forEach((mark, number) => expect(mark.from).toBeGreaterThanOrEqual(inLane[number]!.to))
  expect(marks(Array.from({ length: 2000 }, (_, n) => finding(n)), 2000).length).toBeLessThanOrEqual(500)
  expect(marks([finding(1)], 0)).toEqual([])
})

test('the sound lies where its stream does', () => {
  const streams = [{ index: 1, start: 2, end: 8 }]
  expect(soundSpan(report({ audio: { stream: 1 }, integrity: { streams } }), 10)).toEqual([0.2, 0.8])
  expect(soundSpan(report({ audio: { stream: 3 }, integrity: { streams } }), 10)).toEqual([0, 1])
  expect(soundSpan(report({}), 10)).toEqual([0, 1])
})

test('the curve has a gap where nothing can be heard', () => {
  expect(curvePath({ every: 1, values: [-20, -90, null, 3] })).toBe(
    'M0 20L0.5 20L1.5 60M3 0L3.5 0',
  )
  expect(curvePath({ every: 1, values: [null] })).toBe('')
})

const VTT = `WEBVTT

00:00:00.000 --> 00:00:02.500
storyboard.jpg#xywh=0,0,160,90

01:00:02.500 --> 01:00:05.000
storyboard.jpg#xywh=160,0,160,90

00:05.000 --> 00:07.000 align:start
storyboard.jpg#xywh=0,90,160,90

00:00:09.000 --> 00:00:10.000
Not a picture
`

test('the pictures of a storyboard are read from its WebVTT', () => {
  const cues = parseCues(VTT)
  expect(cues).toEqual([
    { start: 0, end: 2.5, x: 0, y: 0, width: 160, height: 90 },
    { start: 3602.5, end: 3605, x: 160, y: 0, width: 160, height: 90 },
    { start: 5, end: 7, x: 0, y: 90, width: 160, height: 90 },
  ])
  expect(parseCues(VTT.replaceAll('\n', '\r\n'))).toEqual(cues)
  expect(spriteOf(cues)).toEqual({ width: 320, height: 180 })
})

test.each(['', 'WEBVTT', VTT.replaceAll('160,90', '0,0'), '00:00:00.000 --> #xywh=1,2,3,4'])(
  'what is no storyboard has no pictures: %j',
  (text) => {
    expect(parseCues(text)).toEqual([])
    expect(spriteOf([])).toEqual({ width: 0, height: 0 })
    expect(strip([], 10, 4)).toEqual([])
    expect(choose([], 12)).toEqual([])
    expect(cueAt([], 3)).toBeNull()
  },
)

test('a storyboard without end is cut off', () => {
  const one = '00:00:00.000 --> 00:00:02.500\na.jpg#xywh=0,0,1,1\n\n'
  expect(parseCues(one.repeat(2000))).toHaveLength(500)
})

const cues = [0, 2, 4, 6, 8].map((start) => ({ start, end: start + 2, x: start, y: 0, width: 2, height: 1 }))

test('the strip shows what is seen at each place of the axis', () => {
  expect(strip(cues, 10, 4).map(({ start }) => start)).toEqual([0, 2, 6, 8])
  expect(cueAt(cues, 5)!.start).toBe(4)
  expect(cueAt(cues, -1)!.start).toBe(0)
})

test('a contact sheet has pictures from the whole video, or all of a few', () => {
  expect(choose(cues, 12).map(({ start }) => start)).toEqual([0, 2, 4, 6, 8])
  expect(choose(cues, 2).map(({ start }) => start)).toEqual([2, 6])
})
