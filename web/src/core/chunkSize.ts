/**
 * How large the next chunk may be: what the network path to a server lets through, and how fast.
 *
 * Rule 1: no clock and no I/O, as in `plan.ts`.
 */

const KiB = 1024
export const MiB = 1024 * KiB

/** No chunk is cut smaller (bytes). */
export const FLOOR = 64 * KiB
/** A request that takes longer than this (seconds) may soon meet a proxy's timeout: send less. */
const SLOW = 10
/** A request that fails after this many seconds may have met such a timeout. */
const TIMER = 20

/** What is known of the network path to one server. Later uploads use it too. */
export interface NetworkPath {
  /** Only falls: a request of twice this size was refused (bytes). */
  limit: number
  /** The size that suits the speed (bytes). */
  pace: number
  /** The largest that ever got through. */
  passed: number
  /** Whether the server takes a whole file in one request. Older ones have only chunks. */
  takesWhole: boolean
}

/** `limit`: the limit that an earlier page has found, if any. */
export function unknownPath(limit: number | null = null): NetworkPath {
  return { limit: limit ?? Infinity, pace: Infinity, passed: 0, takesWhole: true }
}

/** How large a chunk may be (bytes); learned while sending. */
export class ChunkSize {
  preferred = 5 * MiB
  floor = FLOOR

  constructor(private readonly path: NetworkPath = unknownPath()) {}

  /** Set what the server offers. What was learned of the path stays. */
  offered(preferred: number, floor: number): void {
    this.preferred = preferred
    this.floor = floor
  }

  get now(): number {
    return this.onGrid(Math.min(this.preferred, this.path.limit, this.path.pace))
  }

  /** Whether to send a file of this size in one request. */
  takesWhole(size: number): boolean {
    return this.path.takesWhole && size <= this.now
  }

  /** The server has no route for whole files. */
  noteNoWhole(): void {
    this.path.takesWhole = false
  }

  isProven(size: number): boolean {
    return size <= this.path.passed
  }

  notePassed(size: number, seconds: number): void {
    const { path } = this
    path.passed = Math.max(path.passed, size)
    if (seconds > SLOW) path.pace = this.onGrid(size / 2)
    else if (size >= path.pace && seconds < SLOW / 2) path.pace *= 2
  }

  /** A 413. Returns false if `size` cannot be halved any more. */
  noteRefused(size: number): boolean {
    // This size has passed before, so the path has changed: forget what was known of it.
    if (this.isProven(size)) this.path.passed = 0
    this.halve(size)
    return size > this.floor
  }

  noteFailed(size: number, seconds: number): void {
    if (seconds > TIMER) this.path.pace = this.onGrid(size / 2)
  }

  /**
   * A request failed although the server is up. If this size has never passed, it counts as
   * refused, and the result is true.
   */
  noteSuspected(size: number): boolean {
    const isRefused = !this.isProven(size) && size > this.floor
    if (isRefused) this.halve(size)
    return isRefused
  }

  private halve(size: number): void {
    this.path.limit = Math.min(this.path.limit, this.onGrid(size / 2))
  }

  private onGrid(size: number): number {
    return Math.max(Math.floor(size / this.floor), 1) * this.floor
  }
}
