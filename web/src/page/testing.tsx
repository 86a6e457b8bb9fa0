/** What the tests of the page share: a client that does what it is told, and rendering. */

import { act } from 'react'
import type { ReactNode } from 'react'
import { createRoot } from 'react-dom/client'
import type { Root } from 'react-dom/client'
import type { Upload, UploadDetails, UploadOptions, UploadResult } from '../core'

Object.assign(globalThis, { IS_REACT_ACT_ENVIRONMENT: true })

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

/** Uploads in the order they were made. */
export const made: FakeUpload[] = []

export function fakeCreateUpload(file: Blob, options: UploadOptions): Upload {
  const upload = new FakeUpload(file as File, options)
  made.push(upload)
  return upload
}

let root: Root | null = null

export async function render(page: ReactNode): Promise<HTMLElement> {
  const place = document.createElement('div')
  document.body.append(place)
  root = createRoot(place)
  await act(async () => root!.render(page))
  return place
}

export async function cleanUp(): Promise<void> {
  await act(async () => root?.unmount())
  root = null
  document.body.replaceChildren()
  made.length = 0
}

/** Let everything happen that follows from this. */
export async function after(what: () => unknown): Promise<void> {
  await act(async () => {
    await what()
  })
}

export function fileOf(name: string, bytes = 20 * MiB): File {
  const file = new File(['x'], name, { type: 'video/mp4', lastModified: 1 })
  Object.defineProperty(file, 'size', { value: bytes })
  return file
}

/** The button with these words; throws where there is none. */
export function button(place: ParentNode, words: string): HTMLButtonElement {
  const found = [...place.querySelectorAll('button')].find((one) =>
    one.textContent!.startsWith(words),
  )
  if (!found) throw new Error(`no button "${words}" in: ${(place as HTMLElement).innerHTML}`)
  return found
}
