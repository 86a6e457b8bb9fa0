/**
 * When to try again after an error, and when to give up. Progress resets the failures.
 *
 * Rule 1: no clock and no randomness, as in `plan.ts`: both come in as arguments.
 */

import { GaveUp, type UploadFailure } from './errors'

/** The first pause is at most this many seconds; each further one is twice as long. */
const FIRST_PAUSE = 0.1
const LONGEST_PAUSE = 30
/** Seconds between two requests to a server that is full or busy, if it does not say when. */
const POLL_INTERVAL = 1
/** The server keeps a free slot for an upload for one minute, so no client waits longer than this. */
const LONGEST_WAIT = 30
/** After a sleep of this many seconds past the end of a pause, failures are counted anew. */
const ASLEEP = 60

/** How long to wait for a server that is full or busy, whatever it says. */
export const pauseOf = ({ retryAfter }: { retryAfter: number | null }): number =>
  Math.min(retryAfter || POLL_INTERVAL, LONGEST_WAIT)

export class Backoff {
  /** Nothing is sent before this time. */
  until = 0
  /** Nothing has got through since the last error. */
  inTrouble = false
  /** The number of failures without progress in between. */
  failures = 0
  private failingSince = 0
  private failedAt = 0

  /** `budget`: the seconds without progress, from the first failure, after which to give up. */
  constructor(public budget: number) {}

  /** A request that began before the last failure does not show that the trouble is over. */
  progressed(began: number): void {
    if (began < this.failedAt) return
    this.failures = 0
    this.inTrouble = false
  }

  /** The server has no room yet. This is not a failure, however long it takes. */
  waits(error: { retryAfter: number | null }, now: number): void {
    this.inTrouble = true
    this.failedAt = now
    this.until = Math.max(this.until, now + pauseOf(error))
  }

  /** The browser is online again. */
  online(): void {
    this.until = 0
  }

  /**
   * Set the next pause. Throws `GaveUp` when the pause would exceed the budget.
   *
   * `began`: when the failed request was started. Requests that were in flight at the same
   * time fail for the same reason, so they count as one failure.
   */
  failed(error: UploadFailure, began: number, now: number, jitter: number): void {
    if (error.code === 'offline') {
      // The browser is offline, which says nothing about the server.
      this.failures = 0
      return this.waits({ retryAfter: LONGEST_WAIT }, now)
    }
    // The computer slept, or the upload was paused.
    if (began > this.until + ASLEEP) this.failures = 0
    // When another tab takes over a range, the server still answers: that is no trouble.
    this.inTrouble ||= error.code !== 'superseded'
    if (this.failures === 0) this.failingSince = now
    if (this.failures === 0 || began >= this.failedAt) {
      this.failures += 1
      this.failedAt = now
    }
    const pause = jitter * Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (this.failures - 1))
    const asked = Math.min(error.retryAfter ?? 0, LONGEST_WAIT)
    this.until = Math.max(this.until, now + Math.max(pause, asked))
    if (this.until - this.failingSince > this.budget) {
      throw new GaveUp(`There was no progress for too long. ${error.message}`, {
        code: error.code,
        status: error.status,
        retryable: true,
        hint: 'Every acknowledged byte is safe; the upload can continue later.',
        facts: error.facts,
        cause: error,
      })
    }
  }
}
