/**
 * One upload from its first request to its last: the plan, put into action.
 *
 * Rule 1: the algorithm is `plan.ts`'s. This file only reads, sends, waits and tells.
 *
 * Rule 2: ending it at any line, also by closing the page, loses nothing that was
 * acknowledged: `init` with the same fingerprint finds the upload again.
 */

import { checkNotGone, isBrought, type Status } from './answers'
import type { Control } from './control'
import { whatNext, type Next, type Verb } from './decisions'
import { Parts } from './digest'
import {
  Aborted,
  AnswerLost,
  ConnectionLost,
  NoRoom,
  ServerFailed,
  TooLarge,
  UploadFailure,
  UploadGone,
} from './errors'
import { FLOOR, pauseOf, Plan, type Chunk, type ChunkSize } from './plan'
import { bytesIn, gaps, overlap } from './ranges'
import { Retrying } from './retrying'
import type { Source } from './source'
import type { Teller } from './teller'
import { takingTurns } from './turns'
import type { UploadOptions, UploadResult, UploadState } from './types'
import type { Wire } from './wire'
import type { World } from './world'

const CONCURRENCY = 4 // chunks in parallel, where the server does not say
const ROUNDS = 3 // so often may the server miss what it has acknowledged
const PATIENCE = 300 // seconds without progress until an upload gives up

export class Run {
  uploadId: string | null = null
  private readonly retrying: Retrying
  /** Whether the upload is this run's, not only an earlier one's. */
  private isOpened = false
  /** What was read of the file. */
  private readonly parts = new Parts()

  constructor(
    private readonly world: World,
    private readonly wire: Wire,
    private readonly source: Source,
    private readonly size: ChunkSize,
    private readonly options: UploadOptions,
    private readonly teller: Teller,
    private readonly control: Control,
  ) {
    const budget = options.patience ?? PATIENCE
    this.retrying = new Retrying(world, control, budget, (error) => this.tellTrouble(error))
  }

  /** The network is back. */
  online(): void {
    this.retrying.patience.online()
    this.control.wake()
  }

  /** Whether the file is small enough to be sent in one request first. */
  get isSmall(): boolean {
    // What a proxy refuses across origins looks as if the connection broke, the file half out.
    return (
      this.source.size <= Math.max(this.wire.isSameOrigin ? this.size.now : 0, this.size.passed)
    )
  }

  /**
   * Send the whole file at once. `mayBeCut`: null, where it did not get through and chunks may.
   *
   * Throws `AnswerLost` where the upload may be complete without our knowing.
   */
  async inOneRequest(mayBeCut: boolean): Promise<UploadResult | null> {
    const { control, source, size, teller, world } = this
    this.tell('starting')
    await source.checkReadable()
    control.check()
    let flown = 0
    let isOut = false
    const onSent = (loaded: number, total: number): void => {
      const bytes = total ? Math.floor((loaded / total) * source.size) : 0
      isOut = loaded >= total
      teller.noteSent(bytes - flown)
      flown = bytes
    }
    this.tell('sending')
    const began = world.now()
    let done: Status
    try {
      done = await this.wire.whole(source, control.halt, onSent)
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
        // The server drops a body that is not whole, so this cannot make two uploads.
        size.noteFailed(source.size, world.now() - began)
        if (error.code === 'connection-lost' && size.noteSuspected(source.size)) {
          this.noteRefused(source.size)
        }
      } else if (next === 'smaller') {
        if (error instanceof TooLarge) {
          size.noteRefused(source.size)
          this.noteRefused(source.size)
        }
      } else throw error
      if (!mayBeCut) throw error
      return null
    } finally {
      teller.noteAnswered(flown)
    }
    size.notePassed(source.size, world.now() - began)
    teller.where = { safe: gaps([], source.size), sending: [], bytesSafe: source.size }
    this.uploadId = done.uploadId
    return this.finish(done.state === 'complete' ? done : await this.complete(done.uploadId, null))
  }

  /** Send what the server does not have yet, and complete. */
  async inChunks(): Promise<UploadResult> {
    this.tell('starting')
    const fingerprint = this.options.fingerprint || (await this.source.fingerprint())
    return takingTurns(
      this.world.locks(),
      `wherry ${this.wire.endpoint} ${fingerprint}`,
      () => this.bringOnceMore(fingerprint),
      (isOurTurn) => this.watch(fingerprint, isOurTurn),
      () => this.control.wake(),
    )
  }

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
      await this.source.checkReadable()
      try {
        return this.finish(await this.complete(opened.uploadId, crc))
      } catch (error) {
        if (nextAfter(error, 'complete') !== 'missing') throw error
      }
      const seen = await this.status(opened.uploadId)
      opened = { ...opened, state: seen.state, received: seen.received }
    }
    throw new ServerFailed('The server misses again and again what it has acknowledged.', {
      code: 'bytes-missing',
    })
  }

  // The steps, each until it gets through.

  private async init(fingerprint: string): Promise<Status> {
    const { source, options } = this
    const facts = {
      filename: source.name,
      size: source.size,
      content_type: source.type,
      chunk_size: options.chunkSize,
      metadata: options.metadata,
      fingerprint,
    }
    const opened = await this.retrying.ask('init', () => this.wire.init(facts, this.control.end))
    this.uploadId = opened.uploadId
    this.isOpened = true
    this.control.check()
    return opened
  }

  /** The upload as it is, after a pause or an end of ours; null where one is to be begun. */
  private async known(): Promise<Status | null> {
    const { uploadId } = this
    if (!uploadId) return null
    try {
      const seen = await this.status(uploadId)
      checkNotGone(seen)
      this.isOpened = true
      return seen
    } catch (error) {
      // Who starts again what is gone wants a new one.
      if (error instanceof UploadGone && (!this.isOpened || nextAfter(error, 'status') === 'anew'))
        return null
      throw error
    }
  }

  private status(uploadId: string, isProgress = true): Promise<Status> {
    const call = (): Promise<Status> => this.wire.status(uploadId, this.control.end)
    return this.retrying.ask('status', call, isProgress)
  }

  private async open(fingerprint: string): Promise<Status> {
    const known = await this.known()
    if (known && isBrought(known)) return known
    let opened = await this.init(fingerprint)
    while (opened.isWaiting) {
      const seen = await this.standInLine(opened)
      if (isBrought(seen)) return seen // by another client, meanwhile
      opened = await this.init(fingerprint) // Our turn: now it says all. Or we have missed it.
    }
    this.size.offered(
      opened.chunkSize ?? this.size.preferred,
      Math.max(FLOOR, opened.minChunk ?? 0),
    )
    return opened
  }

  /** The upload as it is when it waits no more. */
  private async standInLine(seen: Status): Promise<Status> {
    const { uploadId } = seen
    while (seen.isWaiting) {
      const pause = pauseOf(seen)
      this.tell('waiting', { position: seen.position, retryAfter: pause })
      await this.control.sleep(pause)
      seen = await this.status(uploadId)
    }
    checkNotGone(seen)
    return seen
  }

  /** The whole file's digest; null where another client has brought the rest of it. */
  private async send(opened: Status): Promise<bigint | null> {
    if (opened.state !== 'receiving') return null
    const { source, control, teller, retrying, world } = this
    const missing = gaps(opened.received, source.size)
    const allowed = opened.concurrency ?? CONCURRENCY
    const concurrency = Math.max(Math.min(this.options.concurrency ?? allowed, allowed), 1)
    const plan = new Plan(source.size, missing, this.size, concurrency, retrying.patience)
    teller.where = plan
    teller.chunkSize = this.size.now
    this.tell('sending')
    const check = (): void => control.check()
    const unread = overlap(this.parts.missing(source.size), plan.safe)
    const reading = source.digestRest(this.parts, unread, check)
    reading.catch(() => undefined) // Told below.
    const flying = new Set<Promise<void>>()
    let failure: unknown
    const fly = (chunk: Chunk): void => {
      const flight = this.sendChunk(plan, opened.uploadId, chunk)
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
        if (plan.mustLook && !flying.size) {
          const seen = await this.standInLine(await this.status(opened.uploadId, false))
          if (isBrought(seen)) return null
          const refused = plan.looked(seen.received)
          if (refused) this.noteRefused(refused)
        }
        const now = world.now()
        const chunk = plan.next(now)
        const pause = retrying.patience.until - now
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
    }
    await reading
    await source.digestRest(this.parts, this.parts.missing(source.size), check)
    return this.parts.crc
  }

  private async sendChunk(plan: Plan, uploadId: string, chunk: Chunk): Promise<void> {
    const { source, teller, control, world } = this
    const signal = control.halt
    let flown = 0
    try {
      const part = await source.digest(chunk.range)
      // While it was read, the server may have told all of us to wait.
      if (world.now() < this.retrying.patience.until) return plan.tookBack(chunk)
      // Until it is through, the trouble is not over.
      if (!this.retrying.patience.inTrouble) this.tell('sending')
      else this.tell(teller.state, { ...teller.news, retryAfter: null })
      chunk.began = world.now()
      const missing = await this.wire.chunk(
        uploadId,
        source.slice(chunk.range),
        part,
        signal,
        (loaded) => {
          teller.noteSent(loaded - flown)
          flown = loaded
        },
      )
      plan.passed(chunk, world.now())
      plan.learned(missing)
      this.parts.add(part)
      // What was on its way before the trouble does not end it.
      if (!this.retrying.patience.inTrouble) this.tell('sending')
    } catch (error) {
      await this.chunkFailed(plan, chunk, error)
    } finally {
      teller.noteAnswered(flown)
      teller.chunkSize = plan.size.now
    }
  }

  private async chunkFailed(plan: Plan, chunk: Chunk, error: unknown): Promise<void> {
    if (!(error instanceof UploadFailure)) throw error
    plan.tookBack(chunk)
    if (error instanceof Aborted) return
    // To the browser, a file that cannot be read any more is a connection that broke.
    if (error instanceof ConnectionLost) await this.source.checkReadable()
    if (plan.failed(chunk, error, this.world.now(), this.world.jitter())) {
      this.noteRefused(chunk.range[1] - chunk.range[0])
    }
    // Finding out what gets through is the normal course of things.
    if (!(error instanceof TooLarge)) this.tellTrouble(error)
  }

  private async complete(uploadId: string, crc: bigint | null): Promise<Status> {
    for (;;) {
      this.tell('completing')
      const done = await this.retrying.ask('complete', () =>
        this.wire.complete(uploadId, crc, this.control.end),
      )
      if (done.state === 'complete') return done
      // It goes on without us. Asked again, the server waits for its end, or takes it up.
      await this.control.sleep(pauseOf(done))
    }
  }

  /** Another tab sends this file: show how far it is. Null when it is our turn to go on. */
  private async watch(fingerprint: string, isOurTurn: () => boolean): Promise<UploadResult | null> {
    const { teller } = this
    for (;;) {
      // Where it has expired the other tab begins anew, and `init` finds what that one began.
      const seen = (await this.known()) ?? (await this.init(fingerprint))
      if (seen.state === 'complete') return this.finish(seen)
      const bytesSafe = bytesIn(seen.received)
      teller.noteSpeed(Math.max(bytesSafe - teller.where.bytesSafe, 0))
      teller.where = { safe: seen.received, sending: [], bytesSafe }
      const problem = 'Another tab is sending this file.'
      if (seen.isWaiting) this.tell('waiting', { position: seen.position, problem })
      else this.tell(seen.state === 'completing' ? 'completing' : 'sending', { problem })
      if (isOurTurn()) return null
      await this.control.sleep(pauseOf(seen), isOurTurn)
    }
  }

  // What the caller learns.

  private finish(done: Status): UploadResult {
    const { size } = this.source
    this.teller.where = { safe: size ? [[0, size]] : [], sending: [], bytesSafe: size }
    this.tell('done')
    return done.result
  }

  /** What is known of the way is kept, whichever request has found it out. */
  private noteRefused(size: number): void {
    this.teller.refusedSize = size
    this.world.limits.set(this.wire.endpoint, this.size.now)
  }

  private tell(state: UploadState, news: Parameters<Teller['tell']>[1] = {}): void {
    if (this.control.isCancelled && state !== 'done') return
    this.teller.tell(this.control.isPaused && state !== 'done' ? 'paused' : state, news)
  }

  private tellTrouble(error: UploadFailure): void {
    this.tell(error instanceof NoRoom ? 'waiting' : 'retrying', {
      retryAfter: this.retrying.pause,
      position: typeof error.facts['position'] === 'number' ? error.facts['position'] : null,
      problem: error.message,
    })
  }
}

/** Null where it is not the server's, nor the way's. */
function nextAfter(error: unknown, verb: Verb): Next | null {
  return error instanceof UploadFailure ? whatNext(error, verb) : null
}
