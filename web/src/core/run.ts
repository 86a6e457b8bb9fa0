/**
 * One upload from its first request to its last.
 *
 * Rule 1: the algorithm is in `plan.ts`. This file only reads, sends, waits and reports.
 *
 * Rule 2: an end at any line, also a closed page, loses nothing that was acknowledged:
 * `init` with the same fingerprint finds the upload again.
 */

import { checkNotGone, isBrought, type Status } from './answers'
import { pauseOf } from './backoff'
import type { Context } from './context'
import { nextAfter } from './decisions'
import {
  AnswerLost,
  ConnectionLost,
  ServerFailed,
  TooLarge,
  UploadGone,
  type UploadFailure,
} from './errors'
import { FLOOR } from './chunkSize'
import { bytesIn, gaps } from './ranges'
import { Sending } from './sending'
import { sendFromOneTab } from './tabs'
import type { UploadResult } from './types'

/** How often the server may lack bytes that it has acknowledged, until the upload fails. */
const ROUNDS = 3

export class Run {
  uploadId: string | null = null
  /** Whether this run has opened the upload, and not only an earlier one. */
  private isOpened = false

  constructor(private readonly context: Context) {}

  /** The network is back. */
  online(): void {
    this.context.retrying.backoff.online()
    this.context.control.wake()
  }

  /** Whether the file is small enough to be sent in one request first. */
  get isSmall(): boolean {
    const { size, source, wire } = this.context
    // Across origins, a proxy's refusal looks like a broken connection with the file half sent.
    // There, only a size that has passed before is tried.
    return source.size <= Math.max(wire.isSameOrigin ? size.now : 0, size.passed)
  }

  /**
   * Send the whole file in one request.
   *
   * Null if the request did not get through, chunks may, and `orChunks` allows them. Throws
   * `AnswerLost` if the upload may be complete without a way to find out.
   */
  async inOneRequest(orChunks: boolean): Promise<UploadResult | null> {
    const { context } = this
    const { control, environment, reporter, size, source, wire } = context
    context.report('starting')
    await source.checkReadable()
    control.check()
    let flown = 0
    let isOut = false
    const onSent = (loaded: number, total: number): void => {
      const bytes = total ? Math.floor((loaded / total) * source.size) : 0
      isOut = loaded >= total
      reporter.noteSent(bytes - flown)
      flown = bytes
    }
    context.report('sending')
    const began = environment.now()
    let done: Status
    try {
      done = await wire.whole(source, control.halt, onSent)
    } catch (error) {
      control.check()
      const next = nextAfter(error, 'upload')
      if (next === 'complete') {
        this.uploadId = String((error as UploadFailure).facts['upload_id'])
        return this.finish(await this.complete(this.uploadId, null))
      }
      if (error instanceof ConnectionLost) {
        await source.checkReadable()
        if (isOut) throw new AnswerLost(error)
        // The server drops an incomplete body, so sending it again cannot make two uploads.
        size.noteFailed(source.size, environment.now() - began)
        if (error.code === 'connection-lost' && size.noteSuspected(source.size)) {
          context.noteRefused(source.size)
        }
      } else if (next === 'smaller') {
        if (error instanceof TooLarge) {
          size.noteRefused(source.size)
          context.noteRefused(source.size)
        }
      } else throw error
      if (!orChunks) throw error
      return null
    } finally {
      reporter.noteAnswered(flown)
    }
    size.notePassed(source.size, environment.now() - began)
    reporter.where = { safe: gaps([], source.size), sending: [], bytesSafe: source.size }
    this.uploadId = done.uploadId
    return this.finish(done.state === 'complete' ? done : await this.complete(done.uploadId, null))
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
    throw new ServerFailed('The server repeatedly lacks bytes that it has acknowledged.', {
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
    const { size } = this.context
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
      reporter.noteSpeed(Math.max(bytesSafe - reporter.where.bytesSafe, 0))
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
    reporter.where = { safe: size ? [[0, size]] : [], sending: [], bytesSafe: size }
    this.context.report('done')
    return done.result
  }
}
