/** What the callers of the browser client see. Sizes in bytes, times in seconds. */

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
  /** Handed to the server's `on_complete`. */
  metadata?: Record<string, string>
  /** Default: what the server says; smaller where something on the way refuses it. */
  chunkSize?: number
  /** Chunks in flight at once, 1 at least. Default, and at most: what the server says. */
  concurrency?: number
  /** Seconds without progress until the upload gives up. Default: 300. */
  patience?: number
  /** The same for the same file, to find its upload again; `false`: always a new upload. */
  fingerprint?: string | false
  onProgress?: OnProgress
}

/** `percent`: 0 to 100, never less than it was. */
export type OnProgress = (percent: number, details: UploadDetails) => void

export type UploadState =
  | 'starting'
  | 'sending'
  /** The server is full: `position` is the place in its line, where it has one. */
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
  /** Acknowledged, and what is on its way. */
  bytesSent: number
  /** Acknowledged by the server: these survive everything. */
  bytesSafe: number
  /** Counted in chunks of the present size; they change with it. */
  chunksTotal: number
  chunksDone: number
  chunkSize: number | null
  safe: Range[]
  sending: Range[]
  /** Bytes a second over the last ten seconds. */
  speed: number | null
  secondsLeft: number | null
  /** Place in the server's waiting line: 1 is next. */
  position: number | null
  retryAfter: number | null
  /** What something on the way refused for its size. */
  refusedSize: number | null
  /** Why it is retrying, waiting or has failed: a sentence for people. */
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
   * Sends what the server does not have yet. Called again after a failure, it goes on;
   * called while it runs, it gives the same promise. Rejects with `UploadFailure`.
   */
  start(): Promise<UploadResult>
  /** Sends nothing more until `resume()`; what is on its way is sent again. */
  pause(): void
  resume(): void
  /** Ends it, on the server too; `start()` rejects with `Aborted`. */
  cancel(): Promise<void>
  readonly details: UploadDetails
  readonly uploadId: string | null
}
