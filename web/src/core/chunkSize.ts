/**
 * How large the next request may be: what the network path to one origin lets through, and how fast.
 *
 * Rule 1: no clock and no I/O, as in `plan.ts`.
 *
 * Rule 2: a trial (a request larger than any that has passed) is at most twice what has passed, and
 * smaller than anything that was refused. Above `COMMON`, a refusal of it may cost at most one percent
 * of the bytes that this path carries.
 *
 * Rule 3: until the speed of a path is known, one small chunk is sent at a time, whatever size passes.
 */

import { isFiltered } from './decisions'
import type { UploadFailure } from './errors'

const KiB = 1024
export const MiB = 1024 * KiB

/** No chunk is cut smaller (bytes). */
export const FLOOR = 64 * KiB
/** The first chunk of a path of which the speed or what passes is unknown. */
const FIRST = 128 * KiB
/** The largest file that goes in one request there: chunks would need three more requests. */
const WHOLE = 512 * KiB
/** The smallest limit in wide use: nginx's default. */
const COMMON = MiB
/** What a refusal throws away, where its answer ends the request. */
const PIECE = FLOOR
/** A trial is made if the path carries this many times what its refusal throws away. */
const SHARE = 100
/**
 * A request should take no longer (seconds). The first one is sent alone, and at most four at once
 * share the line after it: so none takes longer than five times this.
 */
const FAST = 5
/** A request that fails after this many seconds may have met a proxy's timeout. */
const TIMER = 20
/** No proxy's timeout is shorter (seconds). */
const SOON = 2
/** The times of two failures are the same if they differ by less than this part. */
const ALIKE = 0.2
/** At most so many requests share the line (see `FAST`), so one should take this part of a timeout. */
const SHARERS = 5
/** No request counts as faster (seconds). */
const INSTANT = 0.001

/** What is known of the network path to one origin. Later uploads use it too. Sizes in bytes. */
export interface NetworkPath {
  /** Since when something is known of it (seconds since 1970). */
  since: number
  /** The largest request that ever got through. */
  passed: number
  /** The smallest that was refused for its size. */
  refused: number
  /** The size that suits the speed; 0 until that is known. */
  pace: number
  /** The seconds after which the last failed request failed. */
  broke: number
  /** The seconds after which a proxy ends a request. */
  timer: number
  /** How much has passed in all. */
  carried: number
  /** A refusal ends the request before its body is sent. */
  isEarly: boolean
  /** Whether the server takes a whole file in one request. Older ones have only chunks. */
  takesWhole: boolean
  /** A filter refuses raw bodies, so all of them are sent as forms. */
  asForm: boolean
  /** A refusal that the server does not know of yet. */
  report: Record<string, unknown> | null
}

export function unknownPath(since = Infinity): NetworkPath {
  return {
    since,
    passed: 0,
    refused: Infinity,
    pace: 0,
    broke: 0,
    timer: Infinity,
    carried: 0,
    isEarly: false,
    takesWhole: true,
    asForm: false,
    report: null,
  }
}

/** How large a request may be (bytes); learned while sending. */
export class ChunkSize {
  preferred = 5 * MiB
  floor = FLOOR

  constructor(readonly path: NetworkPath = unknownPath()) {}

  /** Set what the server offers. What was learned of the path stays. */
  offered(preferred: number, floor: number): void {
    this.preferred = preferred
    this.floor = floor
  }

  /** Take what the server knows of the path, where this client has not seen otherwise. */
  told(passes: number | null, refuses: number | null): void {
    const { path } = this
    if (passes && passes < path.refused) path.passed = Math.max(path.passed, passes)
    // The server knows of that refusal, and a larger request has passed since. Perhaps it came another
    // way, so it proves nothing here; but it is worth a trial.
    else if (passes && !path.report) path.refused = Infinity
    if (refuses && path.refused === Infinity && refuses > path.passed) path.refused = refuses
  }

  /** How large the next request may be, if `left` bytes are to be sent; `first`: of an unknown path. */
  now(left: number, first = FIRST): number {
    const { carried, isEarly, pace, passed, refused } = this.path
    const most = Math.min(this.preferred, pace || first)
    let size = Math.min(Math.max(first, this.onGrid(2 * passed)), most)
    const thrownAway = isEarly ? PIECE : size
    if (size >= refused) size = passed
    else if (size > Math.max(passed, COMMON) && thrownAway * SHARE > left + carried) {
      size = Math.max(passed, COMMON)
    }
    return this.onGrid(Math.min(size, most))
  }

  /** Whether to send a file of this size in one request. */
  takesWhole(size: number): boolean {
    return this.path.takesWhole && size <= this.now(size, WHOLE)
  }

  isProven(size: number): boolean {
    return size <= this.path.passed
  }

  /** The largest size of a chunk that is sure to pass; 0 if there is none. */
  get proven(): number {
    return this.path.passed - (this.path.passed % this.floor)
  }

  notePassed(size: number, seconds: number): void {
    const { path } = this
    path.passed = Math.max(path.passed, size)
    path.carried += size
    if (seconds > path.timer) path.timer = Infinity
    const fast = Math.min(FAST, path.timer / SHARERS)
    const suits = this.onGrid((size * fast) / Math.max(seconds, INSTANT))
    if (seconds > fast) path.pace = suits
    // Others share the line, so it is at least as fast as this.
    else if (size >= this.floor) path.pace = Math.max(path.pace, suits)
  }

  /** The size was refused. Returns false if no smaller one can be tried. */
  noteRefused(size: number, { facts }: UploadFailure): boolean {
    const { path } = this
    const { code, refused_by } = facts
    // Of its own refusals, the server knows.
    if (!code) path.report = { refused: size, ...(refused_by ? { refused_by } : null) }
    // This size has passed before, so the path has changed: forget what was known of it.
    if (this.isProven(size)) {
      path.passed = 0
      path.refused = size
    }
    path.refused = Math.min(path.refused, size)
    return size > this.floor
  }

  /** A request that began after the last failure failed after so many seconds. */
  noteFailed(size: number, seconds: number): void {
    const { path } = this
    const before = path.broke
    path.broke = seconds
    if (seconds > TIMER) path.pace = this.onGrid(size / 2)
    else if (seconds > SOON && Math.abs(seconds - before) < before * ALIKE) {
      path.timer = seconds
      path.pace = this.onGrid(size / SHARERS)
    }
  }

  /**
   * A request failed although the server is up. If this size has never passed, it counts as
   * refused, and the result is true. A filter's page refuses the kind of the body, unless a smaller
   * one has passed: from then on, bodies are forms. Throws its error if that does not help either.
   */
  noteSuspected(size: number, error: UploadFailure): boolean {
    const { path } = this
    const isPage = isFiltered(error)
    if (isPage && !path.asForm && (this.isProven(size) || !path.passed)) {
      path.asForm = true
      return false
    }
    if (isPage && size <= this.floor) throw error
    const isRefused = size > this.floor && (isPage || !this.isProven(size))
    if (isRefused) this.noteRefused(size, error)
    return isRefused
  }

  private onGrid(size: number): number {
    return Math.max(size - (size % this.floor), this.floor)
  }
}
