/**
 * Reports the progress of an upload to its caller.
 *
 * Rule 1: percent never goes down, and is 100 when all bytes are sent.
 *
 * Rule 2: the bytes of a request that may be refused for its size count when it is answered, and not while
 * they are sent. So no refused byte is progress.
 */

import { Speed } from './speed'
import type { OnProgress, Range, UploadDetails, UploadState } from './types'

/** Without a change of state, progress is reported at most this often (seconds). */
const REPORT_INTERVAL = 0.05

/** Which bytes are where: the plan, or the progress of another tab. */
export interface Where {
  safe: Range[]
  sending: Range[]
  bytesSafe: number
}

export type StateDetails = Partial<Pick<UploadDetails, 'position' | 'retryAfter' | 'problem'>>

export class ProgressReporter {
  where: Where = { safe: [], sending: [], bytesSafe: 0 }
  chunkSize: number | null = null
  refusedSize: number | null = null
  state: UploadState = 'starting'
  stateDetails: StateDetails = {}
  /** When the next try is due. */
  private dueAt: number | null = null
  /** Bytes sent without an answer so far, in requests of a size that passes. */
  private flying = 0
  /** Of all bytes sent, also those sent twice. */
  private readonly speed = new Speed()
  private reportedAt = -Infinity
  private percent = 0

  constructor(
    private readonly total: number,
    private readonly now: () => number,
    private readonly onProgress: OnProgress | undefined,
  ) {}

  /**
   * What notes the bytes of a request as they are sent: called with all of them so far, and with 0 when it
   * has ended, whatever its answer. `isProven`: a request of this size has passed before.
   */
  flight(isProven: boolean): (flown: number) => void {
    let before = 0
    return (flown) => {
      const bytes = flown - before // Below 0, when the same request is sent again after a 401 or 403.
      before = flown
      if (isProven) this.flying += bytes
      if (!flown) return
      this.noteSpeed(bytes)
      this.tick()
    }
  }

  /** Count bytes for the speed, whichever tab sends them. */
  noteSpeed(bytes: number): void {
    this.speed.note(bytes, this.now())
  }

  /** Once a second: countdowns and a standstill become visible. */
  tick(): void {
    this.report(this.state, this.stateDetails)
  }

  report(state: UploadState, about: StateDetails = {}): void {
    const now = this.now()
    const isNew = state !== this.state || this.reportedAt === -Infinity
    this.state = state
    if (about !== this.stateDetails) this.dueAt = about.retryAfter == null ? null : now + about.retryAfter
    this.stateDetails = about
    // Requests that still run after a cancel do not interest its caller.
    if (!isNew && (state === 'cancelled' || now - this.reportedAt < REPORT_INTERVAL)) return
    this.reportedAt = now
    const { details } = this
    const { bytesSent } = details
    const percent = this.total ? Math.round((bytesSent * 100) / this.total) : 0
    // Rounding must not give 100 too early.
    this.percent = Math.max(this.percent, bytesSent < this.total ? Math.min(percent, 99) : percent)
    if (state === 'completing' || state === 'done') this.percent = 100
    try {
      this.onProgress?.(this.percent, details)
    } catch (error) {
      void Promise.reject(error) // An error of the application: it goes to the console, and the upload goes on.
    }
  }

  get details(): UploadDetails {
    const { safe, sending, bytesSafe } = this.where
    const bytesSent = Math.min(bytesSafe + this.flying, this.total)
    const speed = this.isMoving ? this.speed.at(this.now()) : null
    const size = this.chunkSize
    return {
      state: this.state,
      bytesTotal: this.total,
      bytesSent,
      bytesSafe,
      chunksTotal: size ? Math.ceil(this.total / size) : 0,
      chunksDone: size ? (bytesSafe < this.total ? Math.floor : Math.ceil)(bytesSafe / size) : 0,
      chunkSize: size,
      safe,
      sending,
      speed,
      secondsLeft: speed ? (this.total - bytesSent) / speed : null,
      position: this.stateDetails.position ?? null,
      retryAfter: this.dueAt === null ? null : Math.max(this.dueAt - this.now(), 0),
      refusedSize: this.refusedSize,
      problem: this.stateDetails.problem ?? null,
    }
  }

  /** While an upload waits, it has no speed and no remaining time. */
  private get isMoving(): boolean {
    return /sending|completing|done/.test(this.state)
  }
}
