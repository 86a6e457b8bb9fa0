/**
 * Which bytes to send next, in what size, and what a failure changes: the algorithm.
 *
 * Rule 1: no clock, no randomness, no I/O. Times come in as seconds on any steady
 * clock, jitter as a number from 0 to 1.
 *
 * Rule 2: a size that never passed on this way flies alone, so a limit on the way
 * costs one refusal a halving, never one for each request in flight. So does what is
 * sent after a failure, until something gets through again.
 *
 * Rule 3: chunks begin and end on multiples of `floor` (or at the file's end), so that
 * cutting one again never leaves a rest below the server's minimum.
 *
 * Rule 4: a range is in exactly one place: to send, in flight, or acknowledged.
 */

import { whatNext } from './decisions'
import { ConnectionLost, GaveUp, NoRoom, ServerFailed, type UploadFailure } from './errors'
import { bytesIn, gaps, merge, overlap } from './ranges'
import type { Range } from './types'

const KiB = 1024
export const MiB = 1024 * KiB

/** No chunk is cut smaller (bytes). */
export const FLOOR = 64 * KiB
/** A request that took longer than this many seconds is near some proxy's timer: send less. */
const SLOW = 10
/** One that failed after this many seconds may have met such a timer. */
const TIMER = 20
/** Back-off: the first pause is at most `BACKOFF` seconds, each further one twice as long. */
const BACKOFF = 0.1
const LONGEST_BACKOFF = 30
/**
 * Seconds between two questions to a server that is full or at work, where it does not say.
 * A place that comes up in the waiting line is kept for a minute, so none waits longer.
 */
const POLL = 1
const LONGEST_WAIT = 30
/** How long to wait where there will be room or an end later, whatever the answer says. */
export const pauseOf = ({ retryAfter }: { retryAfter: number | null }): number =>
  Math.min(retryAfter || POLL, LONGEST_WAIT)
/** Who comes back so many seconds after the end of a pause begins to count failures anew. */
const ASLEEP = 60
/** So many gaps the server lists in its answer to a chunk. */
const LISTED = 100

/** What is known of the way to one server. It outlives the upload that found it out. */
export interface Way {
  /** Only falls: something refused the double of it. */
  limit: number
  /** Follows the speed. */
  pace: number
  /** The largest that ever got through. */
  passed: number
}

/** `limit`: what an earlier page has found out, if one has. */
export function unknownWay(limit: number | null = null): Way {
  return { limit: limit ?? Infinity, pace: Infinity, passed: 0 }
}

/** How large a chunk may be (bytes); learned while sending. */
export class ChunkSize {
  preferred = 5 * MiB
  floor = FLOOR

  constructor(private readonly way: Way = unknownWay()) {}

  /** What the server said; what was learned on the way stays. */
  offered(preferred: number, floor: number): void {
    this.preferred = preferred
    this.floor = floor
  }

  get now(): number {
    return this.onGrid(Math.min(this.preferred, this.way.limit, this.way.pace))
  }

  /** The largest that ever got through. */
  get passed(): number {
    return this.way.passed
  }

  isProven(size: number): boolean {
    return size <= this.way.passed
  }

  notePassed(size: number, seconds: number): void {
    const way = this.way
    way.passed = Math.max(way.passed, size)
    if (seconds > SLOW) way.pace = this.onGrid(size / 2)
    else if (size >= way.pace && seconds < SLOW / 2) way.pace *= 2
  }

  /** A 413. False when `size` cannot be halved any more. */
  noteRefused(size: number): boolean {
    // Otherwise the way has changed: what was known of it no longer holds.
    if (this.isProven(size)) this.way.passed = 0
    this.halve(size)
    return size > this.floor
  }

  noteFailed(size: number, seconds: number): void {
    if (seconds > TIMER) this.way.pace = this.onGrid(size / 2)
  }

  /** What failed though the server is there: of a size that never passed, it was refused: true. */
  noteSuspected(size: number): boolean {
    const isRefused = !this.isProven(size) && size > this.floor
    if (isRefused) this.halve(size)
    return isRefused
  }

  private halve(size: number): void {
    this.way.limit = Math.min(this.way.limit, this.onGrid(size / 2))
  }

  private onGrid(size: number): number {
    return Math.max(Math.floor(size / this.floor), 1) * this.floor
  }
}

/** When to try again, and when to stop trying. Progress forgets all failures. */
export class Patience {
  /** Nothing is sent before this time. */
  until = 0
  /** Nothing got through since the last error. */
  inTrouble = false
  /** Without progress since. */
  failures = 0
  private failingSince = 0
  private failedAt = 0

  /** `budget`: seconds without progress, counted from the first failure. */
  constructor(public budget: number) {}

  /** What `began` before the last failure says nothing of what is now. */
  progressed(began: number): void {
    if (began < this.failedAt) return
    this.failures = 0
    this.inTrouble = false
  }

  /** There will be room later: that is not a failure, however long it takes. */
  waits(error: UploadFailure, now: number): void {
    this.inTrouble = true
    this.failedAt = now
    this.until = Math.max(this.until, now + pauseOf(error))
  }

  /** The browser is offline, which says nothing about the server. */
  offline(now: number): void {
    this.failures = 0
    this.inTrouble = true
    this.failedAt = now
    this.until = now + LONGEST_WAIT
  }

  /** It is online again. */
  online(): void {
    this.until = 0
  }

  /**
   * Set the next pause. Throws `GaveUp` when that would exceed the budget.
   *
   * `began`: when the failed request was started. Those that were in flight together
   * fail together, and count once.
   */
  failed(error: UploadFailure, began: number, now: number, jitter: number): void {
    if (error.code === 'offline') return this.offline(now)
    // It was asleep meanwhile, or paused.
    if (began > this.until + ASLEEP) this.failures = 0
    // Whoever lost a range to another tab is not in trouble: the server is there.
    this.inTrouble ||= error.code !== 'superseded'
    if (this.failures === 0) this.failingSince = now
    if (this.failures === 0 || began >= this.failedAt) {
      this.failures += 1
      this.failedAt = now
    }
    const pause = jitter * Math.min(LONGEST_BACKOFF, BACKOFF * 2 ** (this.failures - 1))
    const said = Math.min(error.retryAfter ?? 0, LONGEST_WAIT)
    this.until = Math.max(this.until, now + Math.max(pause, said))
    if (this.until - this.failingSince > this.budget) {
      throw new GaveUp(`There was no progress for too long. ${error.message}`, {
        code: error.code,
        status: error.status,
        retryable: true,
        hint: 'Every acknowledged byte is safe; the same upload can go on later.',
        facts: error.facts,
        cause: error,
      })
    }
  }
}

/** A range in flight since `began`. */
export interface Chunk {
  range: Range
  began: number
}

/** The bytes of one upload on their way. */
export class Plan {
  private toSend: Range[]
  private readonly flying = new Set<Chunk>()
  private fromEnd = false
  private turnedAt = 0
  /** Seconds that the last chunk took. */
  private lasted = 0
  /** The status is to be asked for before anything more is sent. */
  mustLook = false
  /** What may have been refused in disguise, and the failures until then. */
  private suspected: { range: Range; failures: number } | null = null

  /** `missing`: what is to be sent, sorted or not. */
  constructor(
    private readonly length: number,
    missing: Iterable<Range>,
    readonly size: ChunkSize,
    private readonly concurrency: number,
    readonly patience: Patience,
  ) {
    this.toSend = this.onGrid(missing)
  }

  get isDone(): boolean {
    return this.toSend.length === 0 && this.flying.size === 0
  }

  /** What is on its way. */
  get sending(): Range[] {
    return [...this.flying].map((chunk) => chunk.range)
  }

  /** What is acknowledged. */
  get safe(): Range[] {
    return gaps([...this.toSend, ...this.sending], this.length)
  }

  /** How many bytes are acknowledged. */
  get bytesSafe(): number {
    return this.length - bytesIn(this.toSend) - bytesIn(this.sending)
  }

  /** The chunk to send now; null while something in flight or a pause has to end first. */
  next(now: number): Chunk | null {
    const gap = this.fromEnd ? this.toSend.at(-1) : this.toSend[0]
    if (!gap || this.mustLook || now < this.patience.until) return null
    // Whether the server is back, the smallest chunk finds out as well.
    const range = this.cut(gap, this.patience.inTrouble ? this.size.floor : this.size.now)
    const isClear =
      !this.patience.inTrouble &&
      [range, ...this.sending].every(([start, end]) => this.size.isProven(end - start))
    if (this.flying.size >= (isClear ? this.concurrency : 1)) return null
    const chunk = { range, began: now }
    this.flying.add(chunk)
    this.toSend = overlap(this.toSend, gaps([range], this.length))
    return chunk
  }

  /** Its bytes are acknowledged. */
  passed(chunk: Chunk, now: number): void {
    this.flying.delete(chunk)
    this.lasted = now - chunk.began
    this.size.notePassed(chunk.range[1] - chunk.range[0], this.lasted)
    this.patience.progressed(chunk.began)
  }

  /** The server's list of what it misses: another tab may have brought some of it. */
  learned(missing: Range[]): void {
    const unlisted: Range[] = missing.length < LISTED ? [] : [[missing.at(-1)![1], this.length]]
    this.toSend = overlap(this.toSend, this.onGrid([...missing, ...unlisted]))
  }

  /** It was ended on this side: its range is sent again, and nothing is concluded from it. */
  tookBack(chunk: Chunk): void {
    this.flying.delete(chunk)
    this.toSend = merge([...this.toSend, chunk.range])
  }

  /**
   * The status that was asked for says what is `received`. The size that was refused in
   * disguise, if one was: the server was there all the time.
   */
  looked(received: Range[]): number | null {
    const { suspected } = this
    const missing = gaps(received, this.length)
    this.mustLook = false
    this.suspected = null
    this.toSend = overlap(this.toSend, this.onGrid(missing))
    if (suspected?.failures !== this.patience.failures) return null
    const [start, end] = suspected.range
    const isLost = overlap([suspected.range], missing).length > 0
    return isLost && this.size.noteSuspected(end - start) ? end - start : null
  }

  /**
   * Take its range back, to be cut anew. True if it was refused for its size.
   *
   * Throws what trying again cannot mend: `error` itself, or `GaveUp`.
   */
  failed(chunk: Chunk, error: UploadFailure, now: number, jitter: number): boolean {
    this.tookBack(chunk)
    const { patience } = this
    const size = chunk.range[1] - chunk.range[0]
    const next = whatNext(error, 'chunk')
    if (next === 'smaller') {
      if (!this.size.noteRefused(size)) throw error
      return true
    }
    if (!error.retryable) throw error
    if (next === 'look' || next === 'line') this.mustLook = true
    if (error instanceof NoRoom || next === 'wait') {
      patience.waits(error, now)
      return false
    }
    if (error.code === 'superseded' && chunk.began >= this.turnedAt) {
      // Another tab sends the same file: each goes on from another end of what is left.
      this.fromEnd = !this.fromEnd
      this.turnedAt = now
      // Where they meet, it gets the time to bring what it has begun.
      patience.until = Math.max(patience.until, now + (1 + jitter) * this.lasted)
    }
    this.size.noteFailed(size, now - chunk.began)
    patience.failed(error, chunk.began, now, jitter)
    const isReset = error instanceof ConnectionLost && error.code === 'connection-lost'
    if (isReset || (next === 'look' && error instanceof ServerFailed)) {
      this.suspected = { range: chunk.range, failures: patience.failures }
    }
    return false
  }

  private cut([start, end]: Range, size: number): Range {
    if (!this.fromEnd) return [start, Math.min(end, start + size)]
    const floor = this.size.floor
    return [Math.max(start, Math.ceil((end - size) / floor) * floor), end]
  }

  /** Widened to multiples of the floor. The server skips what it already has. */
  private onGrid(ranges: Iterable<Range>): Range[] {
    const floor = this.size.floor
    return merge(
      [...ranges].map(([start, end]) => [
        Math.floor(start / floor) * floor,
        Math.min(Math.ceil(end / floor) * floor, this.length),
      ]),
    )
  }
}
