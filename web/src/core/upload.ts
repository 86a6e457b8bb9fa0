/** The ways to upload a file: in as many requests as it needs, in exactly one, and by hand. */

import { Context } from './context'
import { Control, Paused } from './control'
import { FileChanged, UploadFailure } from './errors'
import { ChunkSize } from './chunkSize'
import { OneRequest } from './oneRequest'
import { Run } from './run'
import { Source } from './source'
import { ProgressReporter } from './progress'
import type { OnProgress, Upload, UploadDetails, UploadOptions, UploadResult } from './types'
import { unique } from './unique'
import { Wire } from './wire'
import { browser, type Environment } from './environment'

/** A cancel waits this long (seconds) for requests in flight, and as long for its own answer. */
const CANCEL_WITHIN = 5
const CANCEL_AGAIN = 0.5

/** What a form adds to the size of its file, at most (bytes). */
const LARGEST_FORM = 4096

/** Options for all uploads. The options of one upload take precedence. */
export const defaults: UploadOptions = {}

/** An upload with `start`, `pause`, `resume` and `cancel`. */
export function createUpload(file: Blob, options: UploadOptions = {}): Upload {
  return new OneUpload(file, options)
}

/** One ordinary request with the file in the form field `file`, and no other. */
export async function uploadVideo(
  file: Blob,
  onProgress?: OnProgress,
  options: UploadOptions = {},
): Promise<UploadResult> {
  return new OneUpload(file, { onProgress, ...options }, true).start()
}

/**
 * As many requests as needed, for files of any size and any limit on the size of a request: one for
 * a small file, chunks for a large one.
 */
export async function uploadVideoChunked(
  file: Blob,
  onProgress?: OnProgress,
  options: UploadOptions = {},
): Promise<UploadResult> {
  return createUpload(file, { onProgress, ...options }).start()
}

/** The same as `uploadVideoChunked`. */
export const smartUpload = uploadVideoChunked

/**
 * For a page or component that goes away: sends nothing more and releases the file.
 *
 * `start()` rejects with `Aborted`. The server keeps what has arrived; an upload of the same file
 * continues from there.
 */
export function leave(upload: Upload): void {
  upload.pause()
  if (upload instanceof OneUpload) upload.leave()
}

export class OneUpload implements Upload {
  private readonly options: UploadOptions
  private readonly source: Source
  private readonly reporter: ProgressReporter
  private control: Control
  private run: Run | null = null
  /** Outlives a run: after a failure, the server may have the file. */
  private one: OneRequest | null = null
  private running: Promise<UploadResult> | null = null

  constructor(
    file: Blob,
    options: UploadOptions,
    private readonly isOnce = false,
    private readonly environment: Environment = browser,
  ) {
    if (typeof file?.arrayBuffer !== 'function')
      throw new TypeError('The file is not a File or Blob.')
    const own = Object.entries(options).filter(([, value]) => value !== undefined)
    this.options = { ...defaults, ...Object.fromEntries(own) }
    // No other upload has this one, but a restart after a failure must find the upload again.
    if (this.options.fingerprint === false) this.options.fingerprint = unique()
    this.source = new Source(file, this.options.filename, this.options.contentType)
    this.reporter = new ProgressReporter(file.size, () => environment.now(), this.options.onProgress)
    this.control = new Control(environment)
  }

  get details(): UploadDetails {
    return this.reporter.details
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
    if (!this.running || control.isPaused || control.isCancelled || this.reporter.state === 'done')
      return
    control.pause()
    this.reporter.report('paused')
  }

  resume(): void {
    this.control.resume()
  }

  async cancel(): Promise<void> {
    if (this.reporter.state === 'done') return
    if (this.running) {
      this.end()
      await this.running.catch(() => undefined)
    } else {
      await this.cancelOnServer()
      this.reporter.report('cancelled')
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
    this.reporter.report('cancelled')
    this.endSoon()
  }

  private endSoon(): void {
    const { control } = this
    this.environment.after(CANCEL_WITHIN, () => control.endRequests())
  }

  private async go(): Promise<UploadResult> {
    const { environment, options, reporter } = this
    const { signal } = options
    const control = (this.control = new Control(environment))
    const wire = new Wire(environment, options)
    const one = (this.one ??= new OneRequest(
      this.source.size,
      this.chunkSize(wire),
      options.metadata || wire.path.asForm ? LARGEST_FORM : 0,
    ))
    const run = new Run(
      new Context(environment, wire, this.source, one.size, options, reporter, control),
      one,
    )
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
      // What has arrived belongs to the old file. Free its space for the new one.
      if (error instanceof FileChanged) await this.cancelOnServer()
      reporter.report('failed', { problem: error instanceof Error ? error.message : String(error) })
      throw error
    } finally {
      signal?.removeEventListener('abort', abort)
    }
  }

  private async send(run: Run): Promise<UploadResult> {
    for (;;) {
      const stopListening = this.environment.onOnline(() => run.online())
      const stopTicking = this.environment.every(1, () => this.reporter.tick())
      try {
        return (await run.inOneRequest(this.isOnce)) ?? (await run.inChunks())
      } catch (error) {
        if (!(error instanceof Paused)) throw error
      } finally {
        stopTicking()
        stopListening() // The window must not hold a paused upload that the page has dropped.
      }
      await this.control.resumed()
      run.online() // The network may have come back during the pause.
    }
  }

  /** An upload that the server cannot be asked to cancel in time expires by itself. */
  private async cancelOnServer(): Promise<void> {
    const { environment, uploadId } = this
    if (!uploadId) return
    const wire = new Wire(environment, this.options)
    const limit = new AbortController()
    const stop = environment.after(CANCEL_WITHIN, () => limit.abort())
    try {
      while (!limit.signal.aborted) {
        try {
          return await wire.cancel(uploadId, limit.signal)
        } catch (error) {
          if (!(error instanceof UploadFailure) || !error.retryable) return
        }
        await new Promise<void>((resolve) => environment.after(CANCEL_AGAIN, resolve))
      }
    } finally {
      stop()
    }
  }

  private chunkSize(wire: Wire): ChunkSize {
    const size = new ChunkSize(wire.path)
    if (this.options.chunkSize) size.preferred = this.options.chunkSize
    return size
  }
}
