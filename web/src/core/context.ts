/** What the parts of one run share: the file, the server, and what is reported to the caller. */

import type { Control } from './control'
import { Parts } from './digest'
import { NoRoom, type UploadFailure } from './errors'
import type { Environment } from './environment'
import type { ChunkSize } from './chunkSize'
import type { ProgressReporter, StateDetails } from './progress'
import { Retrying } from './retrying'
import type { Source } from './source'
import type { UploadOptions, UploadState } from './types'
import type { Wire } from './wire'

/** The default of the option `patience`, in seconds. */
const TIMEOUT = 300

export class Context {
  readonly retrying: Retrying
  /** The digests of the parts of the file that have been read. */
  readonly parts = new Parts()

  constructor(
    readonly environment: Environment,
    readonly wire: Wire,
    readonly source: Source,
    readonly size: ChunkSize,
    readonly options: UploadOptions,
    readonly reporter: ProgressReporter,
    readonly control: Control,
  ) {
    const timeout = options.patience ?? TIMEOUT
    this.retrying = new Retrying(environment, control, timeout, (error) =>
      this.reportTrouble(error),
    )
  }

  /** A paused upload stays `paused` and a cancelled one `cancelled`, whatever its requests do. */
  report(state: UploadState, details: StateDetails = {}): void {
    if (this.control.isCancelled && state !== 'done') return
    this.reporter.report(this.control.isPaused && state !== 'done' ? 'paused' : state, details)
  }

  reportTrouble(error: UploadFailure): void {
    this.report(error instanceof NoRoom ? 'waiting' : 'retrying', {
      retryAfter: this.retrying.pause,
      position: typeof error.facts['position'] === 'number' ? error.facts['position'] : null,
      problem: error.message,
    })
  }

  /** A request of `size` bytes was refused. */
  noteRefused(size: number): void {
    this.reporter.refusedSize = size
    this.remember()
  }

  /** Later pages of this tab begin with what was learned. */
  remember(): void {
    this.environment.kept.set(this.wire.origin, this.size.path)
  }
}
