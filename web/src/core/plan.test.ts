/** The algorithm in simulated networks: every second and every failure is chosen here. */

import { Backoff } from './backoff'
import { describe, expect, test } from 'vitest'
import {
  ConnectionLost,
  GaveUp,
  NoRoom,
  Refused,
  ServerFailed,
  TooLarge,
  UploadFailure,
} from './errors'
import { ChunkSize, FLOOR, MiB, unknownPath } from './chunkSize'
import { Plan, type Chunk } from './plan'
import { bytesIn, gaps, merge } from './ranges'
import type { Range } from './types'

const refused = new TooLarge('too large')
const reset = new ConnectionLost('reset', { code: 'connection-lost', retryable: true })
const timedOut = new ConnectionLost('timed out', { code: 'timed-out', retryable: true })
const offline = new ConnectionLost('offline', { code: 'offline', retryable: true })
const failed = new ServerFailed('no', { retryable: true })
const later = new ServerFailed('no', { retryable: true, retryAfter: 3 })
const noRoom = new NoRoom('no', { retryable: true, retryAfter: 5 })
const superseded = new Refused('no', { code: 'superseded', retryable: true })

/** A way to a server: what it takes, and what goes wrong on it. */
interface Network {
  limit: number
  resets?: boolean
  /** What happens to the next requests; null: nothing, and 'lost': only the answer is lost. */
  troubles?: (UploadFailure | 'lost' | null)[]
  seconds?: () => number
  /** What had arrived before. */
  had?: Range[]
}

interface Story {
  arrived: Range[]
  tried: Range[]
  refusals: number[]
  ended: number
}

function play(plan: Plan, network: Network): Story {
  const { limit, resets, troubles = [], seconds = () => 1, had = [] } = network
  const story: Story = { arrived: [], tried: [], refusals: [], ended: 0 }
  const flying: { at: number; chunk: Chunk }[] = []
  let now = 0
  while (!plan.isDone) {
    for (let chunk = plan.next(now); chunk; chunk = plan.next(now)) {
      flying.push({ at: now + seconds(), chunk })
      checkFlight(
        flying.map(({ chunk }) => chunk.range),
        plan,
      )
    }
    if (!flying.length && plan.mustLook) {
      now = Math.max(now, plan.backoff.until)
      plan.looked(merge([...had, ...story.arrived]))
      continue
    }
    if (!flying.length) {
      expect(plan.backoff.until, 'nothing flies, and nothing is waited for').toBeGreaterThan(now)
      now = plan.backoff.until
      continue
    }
    flying.sort((a, b) => a.at - b.at)
    const { at, chunk } = flying.shift()!
    now = at
    story.tried.push([...chunk.range])
    const size = chunk.range[1] - chunk.range[0]
    let error: UploadFailure | null
    if (size > limit) {
      story.refusals.push(size)
      error = resets ? reset : refused
    } else {
      const trouble = troubles.pop() ?? null
      if (trouble === null || trouble === 'lost')
        story.arrived = merge([...story.arrived, chunk.range])
      error = trouble === 'lost' ? reset : trouble
    }
    if (error) plan.failed(chunk, error, now, 1)
    else plan.passed(chunk, now)
  }
  story.ended = now
  return story
}

function checkFlight(ranges: Range[], { size }: Plan): void {
  expect(ranges.length).toBeLessThanOrEqual(4)
  const trials = ranges.filter(([start, end]) => !size.isProven(end - start))
  expect(trials.length).toBeLessThanOrEqual(1)
  expect(bytesIn(merge(ranges)), 'two requests for one byte').toBe(bytesIn(ranges))
}

function aPlan(
  length: number,
  more: { size?: ChunkSize; missing?: Range[]; patience?: number } = {},
): Plan {
  const { size = new ChunkSize(), missing = [[0, length]], patience = 300 } = more
  return new Plan(length, missing, size, 4, new Backoff(patience))
}

/** Numbers from 0 to 1, the same for the same seed. */
function numbers(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

describe('whatever happens on the way', () => {
  test.each(Array.from({ length: 300 }, (_, seed) => [seed]))('every byte arrives (%i)', (seed) => {
    const random = numbers(seed)
    const upTo = (most: number): number => Math.floor(random() * most)
    const length = 1 + upTo(60 * FLOOR)
    const limit = FLOOR + upTo(40 * FLOOR)
    const size = new ChunkSize()
    size.offered(1 + upTo(40 * FLOOR), FLOOR)
    const had: Range[] = Array.from({ length: upTo(4) }, () => {
      const start = upTo(length)
      return [start, Math.min(start + 1 + upTo(10 * FLOOR), length)]
    })
    const kinds = [
      null,
      'lost' as const,
      reset,
      timedOut,
      offline,
      failed,
      later,
      noRoom,
      superseded,
    ]
    const troubles = Array.from({ length: upTo(12) }, () => kinds[upTo(kinds.length)]!)
    const plan = aPlan(length, { size, missing: gaps(had, length), patience: Infinity })
    const seconds = (): number => random() * 90
    const story = play(plan, { limit, resets: random() < 0.5, troubles, seconds, had })
    expect(gaps([...had, ...story.arrived], length)).toEqual([])
    expect(plan.bytesSafe).toBe(length)
    for (const [start, end] of story.tried) {
      expect(start % FLOOR).toBe(0)
      expect(end % FLOOR === 0 || end === length).toBe(true)
    }
  })
})

describe('a limit on the way', () => {
  test.each([true, false])('costs one request (as a reset: %s)', (resets) => {
    const size = new ChunkSize({ ...unknownPath(), isEarly: true })
    const story = play(aPlan(50 * MiB, { size }), { limit: MiB, resets })
    expect(story.refusals).toEqual([2 * MiB])
  })

  test('of 1 MiB costs nothing where a refused body is sent to its end', () => {
    expect(play(aPlan(50 * MiB), { limit: MiB }).refusals).toEqual([])
  })

  test.each(Array.from({ length: 50 }, (_, seed) => [seed]))('costs one at most (%i)', (seed) => {
    const size = new ChunkSize({ ...unknownPath(), isEarly: true })
    const limit = FLOOR + Math.floor(numbers(seed)() * 6 * MiB)
    expect(play(aPlan(50 * MiB, { size }), { limit }).refusals.length).toBeLessThanOrEqual(1)
    expect(play(aPlan(50 * MiB, { size }), { limit }).refusals).toEqual([])
  })

  test('below the smallest chunk ends it', () => {
    expect(() => play(aPlan(MiB), { limit: FLOOR - 1 })).toThrow(TooLarge)
  })

  test('of the server for files ends it at once', () => {
    const plan = aPlan(MiB)
    const error = new TooLarge('too large', { facts: { scope: 'file' } })
    expect(() => plan.failed(plan.next(0)!, error, 1, 1)).toThrow(error)
  })

  test('that comes later is met by one chunk at a time', () => {
    const size = new ChunkSize({ ...unknownPath(), passed: 5 * MiB, pace: 5 * MiB })
    const plan = aPlan(50 * MiB, { size })
    const flight = [plan.next(1), plan.next(1), plan.next(1), plan.next(1)] as Chunk[]
    for (const chunk of flight) expect(plan.failed(chunk, refused, 2, 1)).toBe(true)
    expect(plan.chunkSize).toBe(MiB / 8)
    expect(plan.next(2)).not.toBeNull()
    expect(plan.next(2)).toBeNull()
  })
})

describe('a slow way', () => {
  test('gets smaller chunks, and larger ones when it is fast again', () => {
    const size = new ChunkSize()
    size.notePassed(5 * MiB, 10)
    expect(size.now(0)).toBe(2.5 * MiB)
    size.notePassed(2.5 * MiB, 2)
    expect(size.now(0)).toBe(5 * MiB)
  })

  test('with a timer on it gets smaller chunks', () => {
    const size = new ChunkSize()
    size.notePassed(5 * MiB, 1)
    size.noteFailed(5 * MiB, 30)
    expect(size.noteSuspected(5 * MiB, reset)).toBe(false)
    expect(size.now(0)).toBe(2.5 * MiB)
  })
})

describe('patience', () => {
  test('ends when there is no progress', () => {
    const plan = aPlan(MiB, { patience: 60 })
    expect(() =>
      play(plan, { limit: MiB, troubles: Array<UploadFailure>(100).fill(failed) }),
    ).toThrow(GaveUp)
  })

  test('does not end while a server is full', () => {
    const troubles = Array<UploadFailure>(1000).fill(noRoom)
    expect(play(aPlan(MiB, { patience: 60 }), { limit: MiB, troubles }).ended).toBeGreaterThan(4999)
  })

  test('does not end while there is no network', () => {
    const troubles = Array<UploadFailure>(1000).fill(offline)
    expect(play(aPlan(MiB, { patience: 60 }), { limit: MiB, troubles }).ended).toBeGreaterThan(
      29_000,
    )
  })

  test('does not end while anything gets through', () => {
    const troubles = Array.from({ length: 300 }, (_, n) => (n % 3 ? failed : null))
    play(aPlan(400 * FLOOR, { patience: 5 }), { limit: MiB, troubles, seconds: () => 2 })
  })

  test('counts those once that fail together', () => {
    const backoff = new Backoff(300)
    for (let n = 0; n < 4; n++) backoff.failed(failed, 0, 1, 1)
    expect(backoff.until).toBeCloseTo(1.1)
    backoff.failed(failed, 1, 2, 1)
    expect(backoff.until).toBeCloseTo(2.2)
  })

  test('is not spent while the computer is asleep', () => {
    const backoff = new Backoff(60)
    backoff.failed(failed, 0, 1, 1)
    backoff.failed(failed, 3600, 3601, 1)
    backoff.failed(failed, 3601.2, 3602, 1)
    expect(() => backoff.failed(failed, 3603, 3663, 1)).toThrow(GaveUp)
  })

  test('obeys what the server says', () => {
    const backoff = new Backoff(300)
    backoff.failed(later, 0, 1, 0)
    expect(backoff.until).toBe(4)
    backoff.waits(new NoRoom('no', { retryAfter: 3600 }), 4)
    expect(backoff.until).toBe(34)
  })
})

describe('another tab', () => {
  test('has the other end of what is left', () => {
    const size = new ChunkSize()
    size.notePassed(5 * MiB, 1)
    const plan = aPlan(50 * MiB + 5, { size })
    const chunks = [plan.next(0), plan.next(0), plan.next(0), plan.next(0)] as Chunk[]
    plan.failed(chunks[0]!, superseded, 1, 1)
    plan.failed(chunks[1]!, superseded, 1, 1)
    expect(plan.next(1.2)?.range).toEqual([45 * MiB + FLOOR, 50 * MiB + 5])
    expect(plan.next(1.2)?.range).toEqual([40 * MiB + FLOOR, 45 * MiB + FLOOR])
  })

  test('brings bytes that need not be sent', () => {
    const plan = aPlan(50 * MiB)
    plan.learned([
      [0, FLOOR + 1],
      [40 * MiB, 50 * MiB],
    ])
    expect(plan.bytesSafe).toBe(40 * MiB - 2 * FLOOR)
  })

  test('leaves what a long list of gaps does not reach', () => {
    const plan = aPlan(500 * FLOOR)
    plan.learned(Array.from({ length: 100 }, (_, n) => [2 * n * FLOOR, (2 * n + 1) * FLOOR]))
    expect(plan.bytesSafe).toBe(99 * FLOOR)
  })
})
