/**
 * Pause, resume and cancel of one upload, and everything that waits in it.
 *
 * Rule 1: each of them wakes everything that sleeps or waits here. After a cancel, the woken
 * code gets `Aborted`, after a pause `Paused`.
 */

import { Aborted } from './errors'
import type { Environment } from './environment'

/** How many whole files a tab sends at once. */
const WHOLES_AT_ONCE = 4

/** Thrown out of a paused run. After `resumed()`, a new run begins by reading the status. */
export class Paused extends Error {}

export class Control {
  isPaused = false
  /** Cancelled in this browser only: the upload stays on the server. */
  isLeft = false
  /** Aborts the chunks in flight, at a pause and at the end. */
  private halting = new AbortController()
  /** Aborts every request. */
  private readonly ending = new AbortController()
  private cancelled: Aborted | null = null
  private readonly sleepers = new Set<() => void>()

  constructor(private readonly environment: Environment) {}

  get halt(): AbortSignal {
    return this.halting.signal
  }

  get end(): AbortSignal {
    return this.ending.signal
  }

  get isCancelled(): boolean {
    return this.cancelled !== null
  }

  pause(): void {
    this.isPaused = true
    this.endChunks()
  }

  resume(): void {
    this.isPaused = false
    this.wake()
  }

  /** Small requests in flight are not aborted: their answer may hold the id of a new upload. */
  cancel(cause?: unknown): void {
    this.cancelled ??= new Aborted('The upload was cancelled.', { code: 'aborted', cause })
    this.endChunks()
  }

  /** Cancel in this browser only. */
  leave(): void {
    this.isLeft ||= !this.isCancelled
    this.cancel()
  }

  endRequests(): void {
    this.ending.abort()
  }

  endChunks(): void {
    const { halting } = this
    this.halting = new AbortController()
    halting.abort()
    this.wake()
  }

  wake(): void {
    for (const wake of this.sleepers) wake()
  }

  /** Throws `Aborted`, `Paused`. */
  check(): void {
    if (this.cancelled) throw this.cancelled
    if (this.isPaused) throw new Paused()
  }

  /** Waits for `wake`, at most this many seconds. Throws `Aborted`, `Paused`. */
  async rest(seconds = Infinity): Promise<void> {
    this.check()
    await this.woken(seconds)
    this.check()
  }

  /** Waits this many seconds, or until `isOver()`. Throws `Aborted`, `Paused`. */
  async sleep(seconds: number, isOver: () => boolean = () => false): Promise<void> {
    this.check()
    const until = this.environment.now() + seconds
    for (let left = seconds; left > 0 && !isOver(); left = until - this.environment.now()) {
      await this.rest(left)
    }
  }

  /** Waits for `resume`. Throws `Aborted`. */
  async resumed(): Promise<void> {
    while (this.isPaused && !this.cancelled) await this.woken(Infinity)
    this.check()
  }

  /**
   * The result of `send`, which sends a whole file, when it is its turn. Throws `Aborted`, `Paused`.
   *
   * Of all that a page sends at the same moment, the browser would send few and hold the others
   * back, but a request that stands still for long has failed. And each of them would be tried
   * before the first one shows that the path is too narrow.
   */
  async inTurn<T>(send: () => Promise<T>): Promise<T> {
    const { turns } = this.environment
    turns.push(this)
    try {
      while (turns.indexOf(this) >= WHOLES_AT_ONCE) await this.rest()
      return await send()
    } finally {
      turns.splice(turns.indexOf(this), 1)
      turns[WHOLES_AT_ONCE - 1]?.wake()
    }
  }

  private woken(seconds: number): Promise<void> {
    return new Promise((resolve) => {
      let stop = (): void => undefined
      const wake = (): void => {
        this.sleepers.delete(wake)
        stop()
        resolve()
      }
      this.sleepers.add(wake)
      if (seconds < Infinity) stop = this.environment.after(Math.max(seconds, 0), wake)
    })
  }
}
