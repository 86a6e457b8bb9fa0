/** The four ways to upload a file: one request, chunks, whichever fits, and by hand. */

import { Control, Paused } from './control'
import { FileChanged, UploadFailure } from './errors'
import { ChunkSize, unknownWay } from './plan'
import { Run } from './run'
import { Source } from './source'
import { Teller } from './teller'
import type { OnProgress, Upload, UploadDetails, UploadOptions, UploadResult } from './types'
import { Wire } from './wire'
import { browser, type World } from './world'

/** A cancel waits so many seconds for requests on their way, and so many for its own answer. */
const CANCEL_WITHIN = 5
const CANCEL_AGAIN = 0.5

/** What holds for all uploads; each one's own options come before it. */
export const defaults: UploadOptions = {}

/** An upload in chunks: to start, pause, resume and cancel. */
export function createUpload(file: Blob, options: UploadOptions = {}): Upload {
  return new OneUpload(file, options, 'chunks')
}

/** One ordinary request with the file in the form field `file`. */
export async function uploadVideo(
  file: Blob,
  onProgress?: OnProgress,
  options: UploadOptions = {},
): Promise<UploadResult> {
  return new OneUpload(file, { onProgress, ...options }, 'whole').start()
}

/** Many small requests, however large the file and however narrow the way. */
export async function uploadVideoChunked(
  file: Blob,
  onProgress?: OnProgress,
  options: UploadOptions = {},
): Promise<UploadResult> {
  return new OneUpload(file, { onProgress, ...options }, 'chunks').start()
}

/** One ordinary request where the file is small, and chunks where it is not or is refused. */
export async function smartUpload(
  file: Blob,
  onProgress?: OnProgress,
  options: UploadOptions = {},
): Promise<UploadResult> {
  return new OneUpload(file, { onProgress, ...options }, 'smart').start()
}

/**
 * For a page that goes away: pause it for good, and let go of its file.
 *
 * Its promise rejects with `Aborted`; what has arrived stays on the server, to be gone on with.
 */
export function leave(upload: Upload): void {
  upload.pause()
  if (upload instanceof OneUpload) upload.leave()
}

export type How = 'whole' | 'chunks' | 'smart'

export class OneUpload implements Upload {
  private readonly options: UploadOptions
  private readonly source: Source
  private readonly teller: Teller
  private control: Control
  private run: Run | null = null
  private running: Promise<UploadResult> | null = null

  constructor(
    file: Blob,
    options: UploadOptions,
    private readonly how: How,
    private readonly world: World = browser,
  ) {
    if (typeof file?.arrayBuffer !== 'function')
      throw new TypeError('The file is not a File or Blob.')
    const own = Object.entries(options).filter(([, value]) => value !== undefined)
    this.options = { ...defaults, ...Object.fromEntries(own) }
    // Nobody else has this one, but starting again after a failure must find it.
    if (this.options.fingerprint === false) this.options.fingerprint = unique()
    this.source = new Source(file, this.options.filename, this.options.contentType)
    this.teller = new Teller(file.size, () => world.now(), this.options.onProgress)
    this.control = new Control(world)
  }

  get details(): UploadDetails {
    return this.teller.details
  }

  get uploadId(): string | null {
    return this.run?.uploadId ?? null
  }

  start(): Promise<UploadResult> {
    if (!this.running) {
      this.running = this.go()
      this.running.catch(() => (this.running = null))
    }
    return this.running
  }

  pause(): void {
    const { control } = this
    if (!this.running || control.isPaused || control.isCancelled || this.teller.state === 'done')
      return
    control.pause()
    this.teller.tell('paused')
  }

  resume(): void {
    if (!this.control.isPaused) return
    this.control.resume()
  }

  async cancel(): Promise<void> {
    if (this.teller.state === 'done') return
    if (this.running) {
      this.end()
      await this.running.catch(() => undefined)
    } else {
      await this.cancelOnServer()
      this.teller.tell('cancelled')
    }
  }

  leave(): void {
    if (!this.running) return
    this.control.leave()
    this.endSoon()
  }

  private end(cause?: unknown): void {
    if (this.control.isCancelled) return
    this.control.cancel(cause)
    this.teller.tell('cancelled')
    this.endSoon()
  }

  private endSoon(): void {
    const { control } = this
    this.world.after(CANCEL_WITHIN, () => control.endRequests())
  }

  private async go(): Promise<UploadResult> {
    const { world, options, teller } = this
    const { signal } = options
    const control = (this.control = new Control(world))
    const wire = new Wire(world, options)
    const run = new Run(world, wire, this.source, this.chunkSize(wire), options, teller, control)
    run.uploadId = this.uploadId
    this.run = run
    const abort = (): void => this.end(signal?.reason)
    signal?.addEventListener('abort', abort)
    try {
      if (signal?.aborted) abort()
      control.check()
      return await this.send(run)
    } catch (error) {
      if (control.isCancelled) {
        if (!control.isLeft) await this.cancelOnServer()
        control.check()
      }
      // What has arrived is of another file; the space is wanted for this one.
      if (error instanceof FileChanged) await this.cancelOnServer()
      teller.tell('failed', { problem: error instanceof Error ? error.message : String(error) })
      throw error
    } finally {
      signal?.removeEventListener('abort', abort)
    }
  }

  private async send(run: Run): Promise<UploadResult> {
    for (;;) {
      const stopListening = this.world.onOnline(() => run.online())
      const stopTicking = this.world.every(1, () => this.teller.tick())
      try {
        if (this.how === 'whole' || (this.how === 'smart' && run.isSmall)) {
          const done = await run.inOneRequest(this.how === 'smart')
          if (done) return done
        }
        return await run.inChunks()
      } catch (error) {
        if (!(error instanceof Paused)) throw error
      } finally {
        stopTicking()
        stopListening() // A paused upload that its page forgets is not to be held by the window.
      }
      await this.control.resumed()
      run.online() // It may have come back meanwhile.
    }
  }

  /** What it does not reach within its time expires by itself. */
  private async cancelOnServer(): Promise<void> {
    const { world, uploadId } = this
    if (!uploadId) return
    const wire = new Wire(world, this.options)
    const limit = new AbortController()
    const stop = world.after(CANCEL_WITHIN, () => limit.abort())
    try {
      while (!limit.signal.aborted) {
        try {
          return await wire.cancel(uploadId, limit.signal)
        } catch (error) {
          if (!(error instanceof UploadFailure) || !error.retryable) return
        }
        await new Promise<void>((resolve) => world.after(CANCEL_AGAIN, resolve))
      }
    } finally {
      stop()
    }
  }

  private chunkSize(wire: Wire): ChunkSize {
    const { ways, limits } = this.world
    const way = ways.get(wire.endpoint) ?? unknownWay(limits.get(wire.endpoint))
    ways.set(wire.endpoint, way)
    const size = new ChunkSize(way)
    if (this.options.chunkSize) size.preferred = this.options.chunkSize
    return size
  }
}

function unique(): string {
  const numbers = crypto.getRandomValues(new Uint32Array(4))
  return `unique-${[...numbers].map((number) => number.toString(16)).join('')}`
}
