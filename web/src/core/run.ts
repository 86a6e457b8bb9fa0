/**
 * One upload from its first request to its last.
 *
 * Rule 1: the algorithm is in `plan.ts`. This file only reads, sends, waits and reports.
 *
 * Rule 2: an end at any line, also a closed page, loses nothing that was acknowledged:
 * `init` with the same fingerprint finds the upload again.
 */

import { checkNotGone, isBrought, parseError, type Status } from './answers'
import { pauseOf } from './backoff'
import type { Context } from './context'
import { nextAfter } from './decisions'
import {
  AnswerLost,
  ConnectionLost,
  ServerFailed,
  TooLarge,
  UploadFailure,
  UploadGone,
} from './errors'
import { FLOOR } from './chunkSize'
import type { OneRequest } from './oneRequest'
import { bytesIn, gaps } from './ranges'
import { Sending } from './sending'
import { sendFromOneTab } from './tabs'
import type { UploadResult } from './types'
import { unique } from './unique'

/** How often the server may lack bytes that it has acknowledged, until the upload fails. */
const ROUNDS = 3

export class Run {
  uploadId: string | null = null
  /** Whether this run has opened the upload, and not only an earlier one. */
  private isOpened = false

  constructor(
    private readonly context: Context,
    private readonly one: OneRequest,
  ) {}

  /** The network is back. */
  online(): void {
    this.context.retrying.backoff.online()
    this.context.control.wake()
  }

  /**
   * Send the whole file in one request. Null if it is to be sent in chunks.
   *
   * `once`: do not send it again, and not in chunks. Throws `AnswerLost` if the upload may be complete.
   */
  async inOneRequest(once: boolean): Promise<UploadResult | null> {
    const { context, one } = this
    // Across origins, the server need not allow the headers of such a request.
    const isPossible = context.wire.isSameOrigin && !this.uploadId && one.next !== 'chunks'
    if (!once && !isPossible) return null
    context.report('starting')
    if (once && context.source.size >= context.size.path.refused) {
      throw parseError({ status: 413, text: '', headers: {} }) // As the path would answer.
    }
    let done: Status | null
    try {
      done = await context.control.inTurn(() =>
        once ? this.sendWhole(true) : context.retrying.ask('upload', () => this.askOrSend()),
      )
    } catch (error) {
      const next = nextAfter(error, 'upload')
      if (next === 'complete') {
        done = { uploadId: String((error as UploadFailure).facts['upload_id']) } as Status
      } else if (once || next !== 'smaller') throw error
      else return null
    }
    if (!done) return null
    const { uploadId, state } = done
    this.uploadId = uploadId
    return this.finish(state === 'complete' ? done : await this.complete(uploadId, null))
  }

  private async askOrSend(): Promise<Status | null> {
    const { context, one } = this
    const { control, source, wire } = context
    if (one.next === 'ask') {
      try {
        return await wire.keyed(one.key, null, control.end)
      } catch (error) {
        // It has ended without the whole file, and its key cannot be used again.
        if (error instanceof UploadGone) one.key = null
        else if ((error as UploadFailure).code !== 'bad-request') {
          one.suspected = null // The server may have been away all the time.
          throw error
        }
      }
      if (one.absent()) context.noteRefused(source.size)
    }
    return one.next === 'send' ? this.sendWhole(false) : null
  }

  private async sendWhole(once: boolean): Promise<Status> {
    const { context, one } = this
    const { control, environment, reporter, source, wire } = context
    let crc = 0n
    if (once) await source.checkReadable()
    else crc = (await source.digest([0, source.size])).crc
    control.check()
    // The only request of an upload is its progress, whatever comes of it.
    const fly = reporter.flight(once || context.size.isProven(source.size))
    let isOut = false
    context.report('sending')
    const began = environment.now()
    if (!once) {
      one.key ??= unique()
      one.isUnclear = true
    }
    try {
      const done = await wire.whole(source, one.key, crc, control.halt, (loaded, total) => {
        isOut = loaded >= total
        fly(total ? Math.floor((loaded / total) * source.size) : 0)
      })
      context.size.notePassed(source.size, environment.now() - began)
      context.remember()
      return done
    } catch (error) {
      control.check()
      if (error instanceof ConnectionLost) {
        // If the file can no longer be read, the browser reports a broken connection.
        await source.checkReadable()
        if (once && isOut) throw new AnswerLost(error)
      }
      if (error instanceof UploadFailure) one.failed(error, environment.now() - began)
      if (error instanceof TooLarge) context.noteRefused(source.size)
      throw error
    } finally {
      fly(0)
    }
  }

  /** Send the bytes that the server lacks, and complete the upload. */
  async inChunks(): Promise<UploadResult> {
    const { control, environment, options, source, wire } = this.context
    this.context.report('starting')
    const fingerprint = options.fingerprint || (await source.fingerprint())
    return sendFromOneTab(
      environment.locks(),
      `wherry ${wire.endpoint} ${fingerprint}`,
      () => this.bringOnceMore(fingerprint),
      (holdsLock) => this.watch(fingerprint, holdsLock),
      () => control.wake(),
    )
  }

  /** Brings the file, and begins anew once if the upload has expired meanwhile. */
  private async bringOnceMore(fingerprint: string): Promise<UploadResult> {
    try {
      return await this.bring(fingerprint)
    } catch (error) {
      if (nextAfter(error, 'chunk') !== 'anew') throw error
      this.uploadId = null
    }
    return this.bring(fingerprint)
  }

  private async bring(fingerprint: string): Promise<UploadResult> {
    let opened = await this.open(fingerprint)
    if (opened.state === 'complete') return this.finish(opened)
    for (let round = 0; round < ROUNDS; round++) {
      const crc = await this.send(opened)
      await this.context.source.checkReadable()
      try {
        return this.finish(await this.complete(opened.uploadId, crc))
      } catch (error) {
        if (nextAfter(error, 'complete') !== 'missing') throw error
      }
      const seen = await this.status(opened.uploadId)
      opened = { ...opened, state: seen.state, received: seen.received }
    }
    throw new ServerFailed('The server lacks acknowledged bytes.', {
      code: 'bytes-missing',
    })
  }

  /** The digest of the whole file; null if there is nothing to send any more. */
  private async send(opened: Status): Promise<bigint | null> {
    if (opened.state !== 'receiving') return null
    const readStatus = async (): Promise<Status> =>
      this.waitInQueue(await this.status(opened.uploadId, false))
    return new Sending(this.context, opened, readStatus).send()
  }

  // The requests. Each is repeated until it gets through.

  private async init(fingerprint: string): Promise<Status> {
    const { control, options, retrying, source, wire } = this.context
    const facts = {
      filename: source.name,
      size: source.size,
      content_type: source.type,
      chunk_size: options.chunkSize,
      metadata: options.metadata,
      fingerprint,
      direct: true,
    }
    const opened = await retrying.ask('init', () => wire.init(facts, control.end))
    this.uploadId = opened.uploadId
    this.isOpened = true
    control.check()
    return opened
  }

  /** The status of the upload after a pause or a failure; null if there is none to continue. */
  private async known(): Promise<Status | null> {
    const { uploadId } = this
    if (!uploadId) return null
    try {
      const seen = await this.status(uploadId)
      checkNotGone(seen)
      this.isOpened = true
      return seen
    } catch (error) {
      // `start()` after an upload is gone means a new one.
      if (error instanceof UploadGone && (!this.isOpened || nextAfter(error, 'status') === 'anew'))
        return null
      throw error
    }
  }

  private status(uploadId: string, isProgress = true): Promise<Status> {
    const { control, retrying, wire } = this.context
    return retrying.ask('status', () => wire.status(uploadId, control.end), isProgress)
  }

  private async open(fingerprint: string): Promise<Status> {
    const { environment, size, wire } = this.context
    const known = await this.known()
    if (known && isBrought(known)) return known
    let opened = await this.init(fingerprint)
    while (opened.isWaiting) {
      const seen = await this.waitInQueue(opened)
      if (isBrought(seen)) return seen // Another client has sent it meanwhile.
      // Only `init` gives the limits. It queues the upload again if the server did not wait for us.
      opened = await this.init(fingerprint)
    }
    size.offered(opened.chunkSize ?? size.preferred, Math.max(FLOOR, opened.minChunk ?? 0))
    size.told(opened.passes, opened.refuses)
    wire.path.isEarly = environment.isEarly(wire.origin)
    return opened
  }

  /** Waits until the upload has left the queue. Returns its status then. */
  private async waitInQueue(seen: Status): Promise<Status> {
    const { uploadId } = seen
    while (seen.isWaiting) {
      const pause = pauseOf(seen)
      this.context.report('waiting', { position: seen.position, retryAfter: pause })
      await this.context.control.sleep(pause)
      seen = await this.status(uploadId)
    }
    checkNotGone(seen)
    return seen
  }

  private async complete(uploadId: string, crc: bigint | null): Promise<Status> {
    const { control, retrying, wire } = this.context
    for (;;) {
      this.context.report('completing')
      const done = await retrying.ask('complete', () => wire.complete(uploadId, crc, control.end))
      if (done.state === 'complete') return done
      // The server completes it in the background. Asked again, it waits for the end, or resumes
      // the completion if the process that did it has died.
      await control.sleep(pauseOf(done))
    }
  }

  /** Another tab sends this file: report its progress. Null when it is up to this tab to send. */
  private async watch(fingerprint: string, holdsLock: () => boolean): Promise<UploadResult | null> {
    const { context } = this
    const { control, reporter } = context
    for (;;) {
      // If the upload expires, the other tab begins a new one, and `init` finds that.
      const seen = (await this.known()) ?? (await this.init(fingerprint))
      if (seen.state === 'complete') return this.finish(seen)
      const bytesSafe = bytesIn(seen.received)
      reporter.noteSpeed(bytesSafe - reporter.where.bytesSafe)
      reporter.where = { safe: seen.received, sending: [], bytesSafe }
      const problem = 'Another tab is sending this file.'
      if (seen.isWaiting) context.report('waiting', { position: seen.position, problem })
      else context.report(seen.state === 'completing' ? 'completing' : 'sending', { problem })
      if (holdsLock()) return null
      await control.sleep(pauseOf(seen), holdsLock)
    }
  }

  private finish(done: Status): UploadResult {
    const { reporter, source } = this.context
    const { size } = source
    reporter.where = { safe: gaps([], size), sending: [], bytesSafe: size }
    this.context.report('done')
    return done.result
  }
}
