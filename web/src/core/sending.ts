/** Sends the missing bytes of one upload, as the plan says: in chunks, and parts to the object store. */

import { isBrought, type Status } from './answers'
import type { Context } from './context'
import { nextAfter } from './decisions'
import { DirectWay, LARGEST_PART } from './direct'
import { Aborted, ConnectionLost, GaveUp, TooLarge, UploadFailure } from './errors'
import { EarlyQuestions } from './earlyVerdict'
import { InChunks, PartSending, StoreFailed } from './partSending'
import { Plan, type Chunk } from './plan'
import { gaps, overlap } from './ranges'
import type { EarlyVerdict } from './types'

/** Chunks in flight at once, if the server does not say. */
const CONCURRENCY = 4

export class Sending {
  private readonly plan: Plan
  private readonly way: DirectWay
  private readonly parts: PartSending
  private readonly early: EarlyQuestions
  /** Aborted when nothing more is to be sent. */
  private readonly ended = new AbortController()

  /** `readStatus`: reads the status of the upload, and waits while the upload is queued. */
  constructor(
    private readonly context: Context,
    private readonly opened: Status,
    private readonly readStatus: () => Promise<Status>,
  ) {
    const { environment, options, reporter, retrying, size, source, wire } = context
    const missing = gaps(opened.received, source.size)
    const allowed = opened.concurrency ?? CONCURRENCY
    const concurrency = Math.max(Math.min(options.concurrency ?? allowed, allowed), 1)
    const way = (this.way = environment.ways.get(wire.endpoint) ?? new DirectWay())
    environment.ways.set(wire.endpoint, way)
    this.parts = new PartSending(context, way, opened.uploadId)
    const { partSize } = opened
    const isDirect = way.isOpen && (partSize ?? 0) <= LARGEST_PART
    const direct = isDirect ? partSize : null
    const { backoff } = retrying
    const tail = opened.tail ?? 0
    this.plan = new Plan(source.size, missing, size, concurrency, backoff, direct, tail)
    this.early = new EarlyQuestions(source.size, options.onEarly ? opened.tail : null)
    reporter.where = this.plan
    reporter.chunkSize = this.plan.chunkSize
  }

  /** The digest of the whole file; null if another client has sent the rest of it. */
  async send(): Promise<bigint | null> {
    const { control, environment, parts, retrying, source } = this.context
    const { plan } = this
    this.context.report('sending')
    const check = (): void => control.check()
    // What earlier runs have sent is needed for the digest of the whole file: read it meanwhile.
    const unread = overlap(parts.missing(source.size), plan.safe)
    const reading = source.digestRest(parts, unread, check)
    reading.catch(() => undefined) // It is awaited below.
    const flying = new Set<Promise<void>>()
    let failure: unknown
    const fly = (chunk: Chunk): void => {
      const flight = this.sendChunk(chunk)
        .catch((error: unknown) => void (failure ??= error))
        .finally(() => {
          flying.delete(flight)
          control.wake()
        })
      flying.add(flight)
    }
    try {
      while (!plan.isDone) {
        if (failure) throw failure
        check()
        const { secondsLeft } = this.context.reporter.details
        if (this.early.isDue((range) => plan.isSafe(range), secondsLeft)) void this.askEarly()
        if (plan.mustLook && !flying.size) {
          const seen = await this.readStatus()
          if (isBrought(seen)) return null
          const refused = plan.looked(seen.received)
          if (refused) this.context.noteRefused(refused)
        }
        const now = environment.now()
        const chunk = plan.next(now)
        const pause = retrying.backoff.until - now
        if (chunk) fly(chunk)
        else if (!plan.isDone) await control.rest(pause > 0 ? pause : Infinity)
      }
      if (failure) throw failure
    } catch (error) {
      control.endChunks()
      await Promise.all(flying)
      control.check()
      if (nextAfter(error, 'chunk') === 'complete') return null
      throw error
    } finally {
      this.ended.abort()
    }
    await reading
    await source.digestRest(parts, parts.missing(source.size), check)
    return parts.crc
  }

  /** Ask once for the early verdict, and tell it. */
  private async askEarly(): Promise<void> {
    const { control, options, wire } = this.context
    let found: EarlyVerdict | null
    try {
      found = this.early.answered(await wire.earlyVerdict(this.opened.uploadId, this.ended.signal))
    } catch {
      return // The upload does not depend on it.
    }
    if (this.ended.signal.aborted) return
    if (found) options.onEarly?.(found)
    control.wake() // By now, the bytes may be there that the server lacks.
  }

  private async sendChunk(chunk: Chunk): Promise<void> {
    const { control, environment, parts, reporter, retrying, source, wire } = this.context
    const { backoff } = retrying
    const { plan } = this
    const signal = control.halt
    const size = chunk.range[1] - chunk.range[0]
    const onSent = reporter.flight(!!chunk.part || plan.size.isProven(size))
    try {
      const part = await source.digest(chunk.range)
      // While the part was read, another chunk may have failed, and set a pause for all of them.
      if (environment.now() < backoff.until) return plan.tookBack(chunk)
      // The trouble is over only when this chunk has got through. Until then the state stays.
      if (!backoff.inTrouble) this.context.report('sending')
      else this.context.report(reporter.state, { ...reporter.stateDetails, retryAfter: null })
      chunk.began = environment.now()
      const missing = chunk.part
        ? await this.parts.send(chunk.part, part, signal, onSent)
        : await wire.chunk(this.opened.uploadId, source.slice(chunk.range), part, signal, onSent)
      plan.passed(chunk, environment.now())
      if (!chunk.part) this.context.remember()
      if (missing) plan.learned(missing)
      parts.add(part)
      // A chunk that was sent before the trouble began does not end it.
      if (!backoff.inTrouble) this.context.report('sending')
    } catch (error) {
      if (chunk.part) this.partFailed(chunk, error)
      else await this.chunkFailed(chunk, error)
    } finally {
      if (!this.way.isOpen) plan.endDirect()
      onSent(0)
      reporter.chunkSize = plan.chunkSize
    }
  }

  private async chunkFailed(chunk: Chunk, error: unknown): Promise<void> {
    const { context, plan } = this
    if (!(error instanceof UploadFailure)) throw error
    plan.tookBack(chunk)
    if (error instanceof Aborted) return
    // If the file can no longer be read, the browser reports a broken connection.
    if (error instanceof ConnectionLost) await context.source.checkReadable()
    const { environment } = context
    if (plan.failed(chunk, error, environment.now(), environment.jitter())) {
      context.noteRefused(chunk.range[1] - chunk.range[0])
    }
    // To be refused for size is how the size that passes is found out: it is no trouble.
    if (!(error instanceof TooLarge)) context.reportTrouble(error)
  }

  private partFailed(chunk: Chunk, error: unknown): void {
    const { context, plan } = this
    const { environment, retrying } = context
    if (error instanceof InChunks) {
      plan.toChunks(chunk)
      if (error.isAll) plan.endDirect()
      return
    }
    plan.tookBack(chunk)
    // Requests to Wherry were repeated already; and after a pause or a cancel, this run ends.
    if (!(error instanceof StoreFailed)) throw error
    try {
      retrying.backoff.failed(error, chunk.began, environment.now(), environment.jitter())
      context.reportTrouble(error)
    } catch (failure) {
      if (!(failure instanceof GaveUp)) throw failure
      this.way.isOpen = false // Wherry itself has not failed.
    }
  }
}
