/**
 * Pause, resume and cancel of one upload, and its waiting.
 *
 * Rule 1: whoever sleeps or waits here is woken by each of them; whoever goes on after a
 * cancel gets `Aborted`, after a pause `Paused`.
 */

import { Aborted } from './errors'
import type { World } from './world'

/** Nothing is sent until `resumed()`; then it begins with asking how far it is. */
export class Paused extends Error {}

export class Control {
  isPaused = false
  /** Cancelled here alone: the upload stays on the server. */
  isLeft = false
  /** Ends the chunks on their way: at a pause, and at the end. */
  private halting = new AbortController()
  /** Ends every request. */
  private readonly ending = new AbortController()
  private cancelled: Aborted | null = null
  private readonly sleepers = new Set<() => void>()

  constructor(private readonly world: World) {}

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

  /** Small requests on their way are not ended: whether they opened an upload must be known. */
  cancel(cause?: unknown): void {
    this.cancelled ??= new Aborted('The upload was cancelled.', { code: 'aborted', cause })
    this.endChunks()
  }

  /** A cancel of which the server does not hear. */
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

  /** Until `wake`, at most for so many seconds. Throws `Aborted`, `Paused`. */
  async rest(seconds = Infinity): Promise<void> {
    this.check()
    await this.woken(seconds)
    this.check()
  }

  /** For so many seconds, or until `isOver()`. Throws `Aborted`, `Paused`. */
  async sleep(seconds: number, isOver: () => boolean = () => false): Promise<void> {
    this.check()
    const until = this.world.now() + seconds
    for (let left = seconds; left > 0 && !isOver(); left = until - this.world.now()) {
      await this.rest(left)
    }
  }

  /** Until `resume`. Throws `Aborted`. */
  async resumed(): Promise<void> {
    while (this.isPaused && !this.cancelled) await this.woken(Infinity)
    this.check()
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
      if (seconds < Infinity) stop = this.world.after(Math.max(seconds, 0), wake)
    })
  }
}
