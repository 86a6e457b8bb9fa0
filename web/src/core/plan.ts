/**
 * The algorithm: which bytes to send next, in what size, and what to change after a failure.
 *
 * Rule 1: no clock, no randomness, no I/O. Times come in as seconds on any steady
 * clock, jitter as a number from 0 to 1.
 *
 * Rule 2: of the chunks in flight, at most one is larger than what has passed on this network path.
 * So a limit costs one refusal, not one for each request in flight. Chunks are sent alone until one tells
 * how fast the line is, and after a failure, until one gets through.
 *
 * Rule 3: chunks begin and end on multiples of `floor`, or at the end of the file. So cutting a
 * chunk again never leaves a piece below the server's minimum.
 *
 * Rule 4: a range is in exactly one place: to send, in flight, or acknowledged.
 *
 * Rule 5: where parts may go to the object store, a part that is wholly to be sent does. What goes in
 * chunks is sent first: the first part, by which the server checks the file's type, and what is left
 * of other parts. A part that goes to the store says nothing about the size of chunks.
 *
 * Rule 6: where the server can look at unfinished files, the end of the file comes second, after the
 * first chunk. It has chunks of the same sizes as the rest, so this costs no time.
 */

import type { Backoff } from './backoff'
import type { ChunkSize } from './chunkSize'
import { mayHideRefusal, whatNext } from './decisions'
import { NoRoom, type UploadFailure } from './errors'
import { bytesIn, gaps, merge, overlap } from './ranges'
import type { Range } from './types'

/** The server lists at most this many gaps in its answer to a chunk. */
const LISTED = 100

/** A range in flight since `began`. `part`: its number, if it goes to the object store. */
export interface Chunk {
  range: Range
  began: number
  part: number | null
}

/** The bytes of one upload: to send, in flight, or acknowledged. */
export class Plan {
  private toSend: Range[]
  private readonly flying = new Set<Chunk>()
  private fromEnd = false
  private turnedAt = 0
  /** When a chunk failed that had begun after the failure before it. */
  private failedAt = -Infinity
  /** How long the last chunk took (seconds). */
  private lasted = 0
  /** The status must be read before anything more is sent. */
  mustLook = false
  /** A range that was perhaps refused, although the error did not say so; and the failures so far. */
  private suspected: { range: Range; error: UploadFailure; failures: number } | null = null
  /** Parts that go in chunks. */
  private readonly inChunks: Range[] = []
  /** The end that comes second. */
  private readonly tail: Range[]

  /**
   * `missing`: the ranges to send, sorted or not. `partSize`: of the parts that may go to the object
   * store; null if all bytes go in chunks. `tail`: how many bytes of the end come second.
   */
  constructor(
    private readonly length: number,
    missing: Iterable<Range>,
    readonly size: ChunkSize,
    private readonly concurrency: number,
    readonly backoff: Backoff,
    private partSize: number | null = null,
    tail = 0,
  ) {
    this.toSend = this.onGrid(missing)
    this.tail = tail ? this.onGrid([[Math.max(length - tail, 0), length]]) : []
    // Otherwise, a chunk that ends where a part begins could be below the server's minimum.
    if (partSize && partSize % size.floor) this.partSize = null
    this.inChunks.push([0, partSize ?? 0])
  }

  get isDone(): boolean {
    return this.toSend.length === 0 && this.flying.size === 0
  }

  /** The ranges in flight. */
  get sending(): Range[] {
    return [...this.flying].map((chunk) => chunk.range)
  }

  /** The acknowledged ranges. */
  get safe(): Range[] {
    return gaps([...this.toSend, ...this.sending], this.length)
  }

  /** The number of acknowledged bytes. */
  get bytesSafe(): number {
    return this.length - bytesIn(this.toSend) - bytesIn(this.sending)
  }

  /** Whether all bytes of a range are acknowledged. */
  isSafe(range: Range): boolean {
    return !overlap([...this.toSend, ...this.sending], [range]).length
  }

  /** How large the next chunk may be. */
  get chunkSize(): number {
    return this.size.now(this.length - this.bytesSafe)
  }

  /** The chunk to send now; null if a chunk in flight or a pause has to end first. */
  next(now: number): Chunk | null {
    if (this.mustLook || now < this.backoff.until) return null
    if (this.flying.size >= (this.backoff.inTrouble ? 1 : this.concurrency)) return null
    const forStore = this.forStore
    const range = this.nextChunk(this.due(overlap(this.toSend, gaps(forStore, this.length))))
    const chunk = range ? { range, began: now, part: null } : this.nextPart(forStore, now)
    if (!chunk) return null
    this.flying.add(chunk)
    this.toSend = overlap(this.toSend, gaps([chunk.range], this.length))
    return chunk
  }

  /** Those of the ranges that come first: the end, once the beginning is on its way. */
  private due(ranges: Range[]): Range[] {
    if (this.fromEnd || !this.toSend[0]?.[0]) return ranges
    const tail = overlap(ranges, this.tail)
    return tail.length ? tail : ranges
  }

  private nextChunk(forChunks: Range[]): Range | null {
    const gap = this.fromEnd ? forChunks.at(-1) : forChunks[0]
    if (!gap) return null
    // The smallest chunk is enough to find out whether the server is back.
    let size = this.backoff.inTrouble ? this.size.floor : this.chunkSize
    for (const { part, range } of this.flying) {
      if (part) continue
      if (!this.size.path.pace) return null
      if (!this.size.isProven(range[1] - range[0])) size = Math.min(size, this.size.proven)
    }
    return size ? this.cut(gap, size) : null
  }

  private nextPart(forStore: Range[], now: number): Chunk | null {
    const stretch = this.fromEnd ? forStore.at(-1) : forStore[0]
    if (!stretch) return null
    const size = this.partSize!
    const start = this.fromEnd ? Math.floor((stretch[1] - 1) / size) * size : stretch[0]
    return { range: [start, Math.min(start + size, this.length)], began: now, part: start / size + 1 }
  }

  /** What is to be sent in whole parts, to the object store. */
  private get forStore(): Range[] {
    const { length, partSize: size } = this
    if (!size) return []
    const whole = this.toSend.map(([start, end]): Range => [
      Math.ceil(start / size) * size,
      end < length ? Math.floor(end / size) * size : length,
    ])
    return overlap(whole, gaps(this.inChunks, length))
  }

  /** From now on, all bytes go in chunks. */
  endDirect(): void {
    this.partSize = null
  }

  /** Take back a part that the server wants in chunks. */
  toChunks(chunk: Chunk): void {
    this.tookBack(chunk)
    this.inChunks.push(chunk.range)
  }

  /** The bytes of the chunk are acknowledged. */
  passed(chunk: Chunk, now: number): void {
    this.flying.delete(chunk)
    this.lasted = now - chunk.began
    if (!chunk.part) this.size.notePassed(chunk.range[1] - chunk.range[0], this.lasted)
    this.backoff.progressed(chunk.began)
  }

  /** Apply the server's list of what it lacks: another tab may have sent some ranges. */
  learned(missing: Range[]): void {
    const unlisted: Range[] = missing.length < LISTED ? [] : [[missing.at(-1)![1], this.length]]
    this.toSend = overlap(this.toSend, this.onGrid([...missing, ...unlisted]))
  }

  /** The chunk was aborted here. Its range is sent again; this is no failure. */
  tookBack(chunk: Chunk): void {
    this.flying.delete(chunk)
    this.toSend = merge([...this.toSend, chunk.range])
  }

  /**
   * Apply the status of the upload. Returns the size that was refused although the error did not
   * say so, if there is one: the server was up all the time, and the range did not arrive. Throws the
   * error of a filter that refuses the smallest chunk in every form.
   */
  looked(received: Range[]): number | null {
    const { suspected } = this
    const missing = gaps(received, this.length)
    this.mustLook = false
    this.suspected = null
    this.toSend = overlap(this.toSend, this.onGrid(missing))
    if (suspected?.failures !== this.backoff.failures) return null
    const { error, range } = suspected
    const size = range[1] - range[0]
    return overlap([range], missing).length && this.size.noteSuspected(size, error) ? size : null
  }

  /**
   * Take the range of a failed chunk back, to be cut anew. True if it was refused for its size.
   *
   * Throws what a retry cannot mend: `error` itself, or `GaveUp`.
   */
  failed(chunk: Chunk, error: UploadFailure, now: number, jitter: number): boolean {
    this.tookBack(chunk)
    const { backoff } = this
    const size = chunk.range[1] - chunk.range[0]
    const next = whatNext(error, 'chunk')
    if (next === 'smaller') {
      if (!this.size.noteRefused(size, error)) throw error
      return true
    }
    if (!error.retryable && next !== 'look') throw error
    if (next === 'look' || next === 'line') this.mustLook = true
    if (error instanceof NoRoom || next === 'wait') {
      backoff.waits(error, now)
      return false
    }
    if (error.code === 'superseded' && chunk.began >= this.turnedAt) {
      // Another tab sends the same file: continue at the other end of what is left.
      this.fromEnd = !this.fromEnd
      this.turnedAt = now
      // Where the two meet, the other tab gets time to finish its chunk.
      backoff.until = Math.max(backoff.until, now + (1 + jitter) * this.lasted)
    }
    // Others were in flight at the last failure: they say nothing more.
    if (chunk.began >= this.failedAt) {
      this.size.noteFailed(size, now - chunk.began)
      this.failedAt = now
    }
    backoff.failed(error, chunk.began, now, jitter)
    if (mayHideRefusal(error, next)) {
      this.suspected = { range: chunk.range, error, failures: backoff.failures }
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
