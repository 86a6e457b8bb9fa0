/**
 * Sends a whole file in one request: what to do next, and what to conclude from a failure.
 *
 * Rule 1: no clock, no randomness, no I/O, as in `plan.ts`.
 *
 * Rule 2: after a request whose outcome is unknown, nothing is sent before the server was asked
 * what it has. So a lost answer makes no second upload.
 */

import type { ChunkSize } from './chunkSize'
import { isFiltered, mayHideRefusal, whatNext } from './decisions'
import { NoRoom, TooLarge, type UploadFailure } from './errors'

export class OneRequest {
  /** Identifies the request, however often it is sent; null before it is sent. */
  key: string | null = null
  /** It was sent, and its outcome is unknown. */
  isUnclear = false
  /** It was perhaps refused for its size, in disguise. Null if the server was away. */
  suspected: UploadFailure | null = null

  constructor(
    private readonly length: number,
    readonly size: ChunkSize,
    /** What the form around the file adds, at most. */
    private readonly margin = 0,
  ) {}

  /** What to do now: ask the server what it has, send the file, or send chunks instead. */
  get next(): 'ask' | 'send' | 'chunks' {
    if (this.isUnclear) return 'ask'
    return this.size.takesWhole(this.length + this.margin) ? 'send' : 'chunks'
  }

  /** Apply a failure to send. */
  failed(error: UploadFailure, seconds: number): void {
    const { length, size } = this
    const next = whatNext(error, 'upload')
    this.isUnclear = next !== 'smaller'
    if (this.isUnclear) size.noteFailed(length, seconds)
    else if (error instanceof TooLarge) size.noteRefused(length, error)
    // A 404 in answer to a whole file comes from a server that has only the chunked routes.
    else if (
      !(error instanceof NoRoom) &&
      (size.path.asForm || error.status === 404 || !isFiltered(error))
    )
      size.path.takesWhole = false
    this.suspected = mayHideRefusal(error, next) ? error : null
  }

  /** The server has nothing. True if the file was refused for its size, in disguise. */
  absent(): boolean {
    this.isUnclear = false
    return !!this.suspected && this.size.noteSuspected(this.length, this.suspected)
  }
}
