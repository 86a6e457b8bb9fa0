/**
 * One upload as something that is shown: a value that changes, and whoever wants to know of it.
 *
 * Rule 1: a new state is told at once, new numbers at most ten times a second.
 *
 * Rule 2: nothing here needs React, so an upload may go on while no component shows it.
 */

import { createUpload, leave, UploadFailure } from '../core'
import type { EarlyVerdict, Upload, UploadDetails, UploadOptions, UploadResult } from '../core'

/** How often new numbers are told, in milliseconds. */
const INTERVAL = 100

export interface Shown {
  file: File | null
  percent: number
  details: UploadDetails | null
  uploadId: string | null
  result: UploadResult | null
  failure: UploadFailure | null
  early: EarlyVerdict | null
}

const NOTHING: Shown = {
  file: null,
  percent: 0,
  details: null,
  uploadId: null,
  result: null,
  failure: null,
  early: null,
}

export class Observed {
  private shown = NOTHING
  private current: Upload | null = null
  private timer: ReturnType<typeof setTimeout> | undefined
  private readonly listeners = new Set<() => void>()

  /** `options`: asked for at each `start`; its `onProgress` and `onEarly` when they are told. */
  constructor(private readonly options: () => UploadOptions) {}

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  readonly now = (): Shown => this.shown

  /** Upload this file. An upload that runs already is left: the server keeps what has arrived. */
  readonly start = (file: File): void => {
    this.leave()
    const { onProgress, ...rest } = this.options()
    let state = ''
    let percent = 0
    const upload = createUpload(file, {
      ...rest,
      onEarly: (early) => {
        this.options().onEarly?.(early)
        this.change(upload, { early })
      },
      onProgress: (now, details) => {
        this.options().onProgress?.(now, details)
        if (this.current !== upload) return
        percent = now
        if (details.state !== state) {
          state = details.state
          this.change(upload, { percent })
        } else {
          this.timer ??= setTimeout(() => this.change(upload, { percent }), INTERVAL)
        }
      },
    })
    this.current = upload
    this.shown = { ...NOTHING, file }
    this.run(upload)
  }

  /** Continue after a failure. */
  readonly again = (): void => {
    if (this.current) this.run(this.current)
  }

  readonly pause = (): void => this.current?.pause()

  readonly resume = (): void => this.current?.resume()

  /** Cancel the upload, on the server too. Resolves even if the server was not reached. */
  readonly cancel = async (): Promise<void> => {
    const upload = this.current
    if (!upload) return
    try {
      await upload.cancel()
    } catch {
      // An upload that the server could not cancel expires by itself.
    }
    this.change(upload, { details: { ...upload.details, state: 'cancelled' }, failure: null })
  }

  /** Send nothing more. The server keeps what has arrived. */
  leave(): void {
    clearTimeout(this.timer)
    this.timer = undefined
    const { current } = this
    this.current = null // Nothing more is told of it.
    if (current) leave(current)
  }

  private run(upload: Upload): void {
    this.change(upload, { failure: null })
    upload.start().then(
      (result) => this.change(upload, { result, percent: 100 }),
      (error: unknown) => {
        const cancelled = upload.details.state === 'cancelled'
        this.change(upload, { failure: cancelled ? null : asFailure(error) })
      },
    )
  }

  private change(upload: Upload, more: Partial<Shown>): void {
    if (this.current !== upload) return
    clearTimeout(this.timer)
    this.timer = undefined
    const { details, uploadId } = upload
    this.shown = { ...this.shown, details, uploadId, ...more }
    for (const listener of [...this.listeners]) listener()
  }
}

function asFailure(error: unknown): UploadFailure {
  if (error instanceof UploadFailure) return error
  const message = error instanceof Error ? error.message : String(error)
  return new UploadFailure(message, { cause: error })
}
