/**
 * The file that is being sent.
 *
 * Rule 1: at most `STEP` bytes of it are in memory at once, for the digest. Requests get slices,
 * which the browser reads by itself.
 *
 * Rule 2: the fingerprint finds the same upload again after a reload, without any stored state.
 * It is made of the name, the size, the time of the last change and samples of the content, so a
 * changed file never continues the upload of the old one.
 */

import { crc64, Parts, type Part } from './digest'
import { FileChanged } from './errors'
import type { Range } from './types'

/** Changes when the fingerprint is made differently. */
const FINGERPRINT_VERSION = 'j1'
const SAMPLES = 8
const SAMPLE_SIZE = 64 * 1024
const STEP = 1024 * 1024

export class Source {
  readonly size: number
  readonly name: string
  readonly type: string | null

  constructor(
    readonly file: Blob,
    name?: string,
    type?: string,
  ) {
    this.size = file.size
    this.name = name || (file as Partial<File>).name || 'upload.bin'
    this.type = type || file.type || null
  }

  slice([start, end]: Range): Blob {
    return this.file.slice(start, end)
  }

  /** Throws `FileChanged`. */
  async digest(range: Range): Promise<Part> {
    let crc = 0n
    for (let at = range[0]; at < range[1]; at += STEP) {
      crc = crc64(await this.read([at, Math.min(at + STEP, range[1])]), crc)
    }
    return { range, crc }
  }

  /** Reads the ranges that `parts` lacks. Throws `FileChanged`, and what `check` throws. */
  async digestRest(parts: Parts, missing: Range[], check: () => void): Promise<void> {
    for (const [start, end] of missing) {
      for (let at = start; at < end; at += STEP) {
        check()
        parts.add(await this.digest([at, Math.min(at + STEP, end)]))
      }
    }
  }

  /** Throws `FileChanged` if the file is not the one that was chosen. */
  async checkReadable(): Promise<void> {
    if (this.size) await this.read([this.size - 1, this.size])
  }

  /** Throws `FileChanged`. */
  async fingerprint(): Promise<string> {
    const changed = (this.file as Partial<File>).lastModified ?? ''
    const facts = new TextEncoder().encode(`${this.name}\0${this.size}\0${changed}`)
    const last = Math.max(this.size - SAMPLE_SIZE, 0)
    let samples = 0n
    for (let n = 0; n < SAMPLES; n++) {
      const start = Math.floor((last * n) / (SAMPLES - 1))
      samples = crc64(await this.read([start, Math.min(start + SAMPLE_SIZE, this.size)]), samples)
    }
    return [FINGERPRINT_VERSION, crc64(facts).toString(16), samples.toString(16)].join('-')
  }

  private async read(range: Range): Promise<Uint8Array> {
    try {
      const bytes = new Uint8Array(await this.slice(range).arrayBuffer())
      if (bytes.length === range[1] - range[0]) return bytes
    } catch (error) {
      throw unreadable(error)
    }
    throw unreadable()
  }
}

function unreadable(cause?: unknown): FileChanged {
  return new FileChanged('The file can no longer be read: it was changed, moved or deleted.', {
    code: 'file-changed',
    hint: 'Choose the file again.',
    cause,
  })
}
