/**
 * How far an upload is, as its caller may show it.
 *
 * Rule 1: percent never goes down, and is 100 when all bytes are out.
 */

import type { OnProgress, Range, UploadDetails, UploadState } from './types'

/** Speed is measured over the last `WINDOW` seconds, once there are `SHORTEST`. */
const WINDOW = 10
const SHORTEST = 0.2
/** So many seconds in which nothing moves are part of the speed. */
const STILL = 2
/** Progress is told at every change of state, and else at most so often (seconds). */
const TELL_EVERY = 0.05

/** Where the bytes are: the plan, or what another tab is doing. */
export interface Where {
  safe: Range[]
  sending: Range[]
  bytesSafe: number
}

type News = Partial<Pick<UploadDetails, 'position' | 'retryAfter' | 'problem'>>

export class Teller {
  where: Where = { safe: [], sending: [], bytesSafe: 0 }
  chunkSize: number | null = null
  refusedSize: number | null = null
  state: UploadState = 'starting'
  news: News = {}
  /** When the next try is due. */
  private dueAt: number | null = null
  /** Sent and not answered yet, and sent in all: whatever becomes of it. */
  private flying = 0
  private sent = 0
  private noted: [at: number, sent: number][] = []
  private toldAt = -Infinity
  private percent = 0

  constructor(
    private readonly total: number,
    private readonly now: () => number,
    private readonly onProgress: OnProgress | undefined,
  ) {}

  noteSent(bytes: number): void {
    this.flying += bytes // Less, when the same request is sent again after a 401 or 403.
    this.noteSpeed(Math.max(bytes, 0))
    this.tell(this.state, this.news)
  }

  /** Bytes that somebody sends, to tell the speed. */
  noteSpeed(bytes: number): void {
    const now = this.now()
    this.sent += bytes
    if (now - (this.noted.at(-1)?.[0] ?? -Infinity) >= TELL_EVERY) this.noted.push([now, this.sent])
    while (this.noted[0] && this.noted[0][0] < now - WINDOW) this.noted.shift()
  }

  /** Time has passed: what is counted down, or stands still, is to be seen. */
  tick(): void {
    this.tell(this.state, this.news)
  }

  /** So many of the bytes on their way have their answer, whatever it is. */
  noteAnswered(bytes: number): void {
    this.flying -= bytes
  }

  tell(state: UploadState, news: News = {}): void {
    const now = this.now()
    const isNew = state !== this.state || this.toldAt === -Infinity
    this.state = state
    if (news !== this.news) this.dueAt = news.retryAfter == null ? null : now + news.retryAfter
    this.news = news
    // Requests that still run after a cancel are no news to its caller.
    if (!isNew && (state === 'cancelled' || now - this.toldAt < TELL_EVERY)) return
    this.toldAt = now
    const { details } = this
    const { bytesSent } = details
    const percent = this.total ? Math.round((bytesSent * 100) / this.total) : 0
    // Rounded, 100 would come before its time.
    this.percent = Math.max(this.percent, bytesSent < this.total ? Math.min(percent, 99) : percent)
    if (state === 'completing' || state === 'done') this.percent = 100
    try {
      this.onProgress?.(this.percent, details)
    } catch (error) {
      void Promise.reject(error) // The application's own: for the console, no reason to stop.
    }
  }

  get details(): UploadDetails {
    const { safe, sending, bytesSafe } = this.where
    const bytesSent = Math.min(bytesSafe + this.flying, this.total)
    const speed = this.isMoving ? this.speed() : null
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
      position: this.news.position ?? null,
      retryAfter: this.dueAt === null ? null : Math.max(this.dueAt - this.now(), 0),
      refusedSize: this.refusedSize,
      problem: this.news.problem ?? null,
    }
  }

  /** Whoever waits has no speed, and nothing is known of the time that is left. */
  private get isMoving(): boolean {
    return ['sending', 'completing', 'done'].includes(this.state)
  }

  private speed(): number | null {
    const now = this.now()
    const first = this.noted.find(([at]) => at >= now - WINDOW)
    const last = this.noted.at(-1)
    if (!first || !last || last[0] - first[0] <= SHORTEST) return null
    // Where nothing has moved for a while, it counts.
    const until = now - last[0] > STILL ? now : last[0]
    return (last[1] - first[1]) / (until - first[0])
  }
}
