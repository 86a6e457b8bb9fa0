/** A client for tests of what is built on it: it does what it is told. */

import type { Upload, UploadDetails, UploadOptions, UploadResult } from '..'

export const MiB = 1024 * 1024

export function details(more: Partial<UploadDetails> = {}): UploadDetails {
  return {
    state: 'starting',
    bytesTotal: 20 * MiB,
    bytesSent: 0,
    bytesSafe: 0,
    chunksTotal: 4,
    chunksDone: 0,
    chunkSize: 5 * MiB,
    safe: [],
    sending: [],
    speed: null,
    secondsLeft: null,
    position: null,
    retryAfter: null,
    refusedSize: null,
    problem: null,
    ...more,
  }
}

/** An upload that goes as a test says. */
export class FakeUpload implements Upload {
  details: UploadDetails
  uploadId: string | null = null
  readonly calls: string[] = []
  private settle: { resolve(result: UploadResult): void; reject(error: unknown): void } | null = null

  constructor(
    readonly file: File,
    readonly options: UploadOptions,
  ) {
    this.details = details({ bytesTotal: file.size })
  }

  start(): Promise<UploadResult> {
    this.calls.push('start')
    return new Promise((resolve, reject) => {
      this.settle = { resolve, reject }
    })
  }

  pause(): void {
    this.calls.push('pause')
    this.report({ state: 'paused' })
  }

  resume(): void {
    this.calls.push('resume')
    this.report({ state: 'sending' })
  }

  async cancel(): Promise<void> {
    this.calls.push('cancel')
    this.abort()
  }

  abort(): void {
    this.report({ state: 'cancelled' })
    this.settle?.reject(new Error('cancelled'))
  }

  report(more: Partial<UploadDetails>, percent = 0): void {
    this.details = { ...this.details, ...more }
    this.options.onProgress?.(percent, this.details)
  }

  async succeed(result: Partial<UploadResult> = {}): Promise<void> {
    this.report({ state: 'done', bytesSafe: this.details.bytesTotal }, 100)
    this.settle?.resolve({ upload_id: 'u', assessment_id: null, state: 'complete', ...result })
  }

  async fail(error: unknown): Promise<void> {
    this.report({ state: 'failed' })
    this.settle?.reject(error)
  }
}

/** Uploads in the order they were made. A test empties it at its end. */
export const made: FakeUpload[] = []

export function fakeCreateUpload(file: Blob, options: UploadOptions): Upload {
  const upload = new FakeUpload(file as File, options)
  made.push(upload)
  return upload
}

export function fileOf(name: string, bytes = 20 * MiB): File {
  const file = new File(['x'], name, { type: 'video/mp4', lastModified: 1 })
  Object.defineProperty(file, 'size', { value: bytes })
  return file
}
