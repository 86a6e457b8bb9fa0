/** The public types of the browser client. Sizes are bytes, times are seconds. */

/** Sent with every request; a function is called again after a 401 or 403. */
export type Headers =
  Record<string, string> | (() => Record<string, string> | Promise<Record<string, string>>)

export interface UploadOptions {
  /** The address before `/chunked-upload`. Default: `/api`. */
  endpoint?: string
  headers?: Headers
  /** As of `fetch`. Default: `same-origin`. */
  credentials?: 'same-origin' | 'include' | 'omit'
  /** Aborting it cancels the upload, on the server too. */
  signal?: AbortSignal
  /** Default: the file's own name, or `upload.bin`. */
  filename?: string
  /** Default: the file's own type. */
  contentType?: string
  /** Passed to the server's `on_complete`. */
  metadata?: Record<string, string>
  /** Default: the server's choice; smaller if a proxy refuses that. */
  chunkSize?: number
  /** Chunks in flight at once, at least 1. The server's number is the default and the maximum. */
  concurrency?: number
  /** Give up after this many seconds without progress. Default: 300. */
  patience?: number
  /** Identifies the file, to find its upload again. `false`: always begin a new upload. */
  fingerprint?: string | false
  onProgress?: OnProgress
  /**
   * Is told what the beginning and the end of a video show, before it is complete. The upload goes on:
   * `cancel()` stops it.
   */
  onEarly?: (early: EarlyVerdict) => void
}

/** `code` and `message` are those of the report. */
export interface EarlyFinding {
  code: string
  severity: 'info' | 'warn' | 'fail'
  message: string
}

/** What the rest of the file cannot change. The verdict of the report may be worse. */
export interface EarlyVerdict {
  verdict: 'pass' | 'warn' | 'fail' | 'not-assessed'
  policy: string
  findings: EarlyFinding[]
}

/** `percent`: 0 to 100. It never falls. */
export type OnProgress = (percent: number, details: UploadDetails) => void

export type UploadState =
  | 'starting'
  | 'sending'
  /** The server is full. `position` is the place in its queue, if the upload has one. */
  | 'waiting'
  /** Something failed (`problem`); the next try is in `retryAfter` seconds. */
  | 'retrying'
  | 'paused'
  | 'completing'
  | 'done'
  | 'cancelled'
  | 'failed'

/** `[start, end]`: the bytes from `start` up to, not including, `end`. */
export type Range = [start: number, end: number]

/** One moment of an upload. */
export interface UploadDetails {
  state: UploadState
  bytesTotal: number
  /** Acknowledged bytes and those in flight, but for a request that is larger than any that has passed. */
  bytesSent: number
  /** Bytes that the server has acknowledged: they are never lost. */
  bytesSafe: number
  /** Counted in chunks of the current size; both change with it. */
  chunksTotal: number
  chunksDone: number
  chunkSize: number | null
  safe: Range[]
  sending: Range[]
  /** Bytes a second over the last ten seconds; null if nothing has moved for five. */
  speed: number | null
  secondsLeft: number | null
  /** The position in the server's queue: 1 is next. */
  position: number | null
  retryAfter: number | null
  /** The size of the last request that a proxy or the server refused as too large. */
  refusedSize: number | null
  /** Why it is retrying, waiting or has failed: a sentence to show to the user. */
  problem: string | null
}

/** The server's own JSON. */
export interface UploadResult {
  upload_id: string
  assessment_id: string | null
  state: string
  [more: string]: unknown
}

export interface Upload {
  /**
   * Sends what the server does not have yet. Called after a failure, it continues; called while
   * it runs, it returns the same promise. Rejects with `UploadFailure`.
   */
  start(): Promise<UploadResult>
  /** Sends nothing more until `resume()`. Chunks in flight are sent again then. */
  pause(): void
  resume(): void
  /** Cancels the upload, on the server too. `start()` rejects with `Aborted`. */
  cancel(): Promise<void>
  readonly details: UploadDetails
  readonly uploadId: string | null
}
