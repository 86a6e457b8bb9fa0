/**
 * Everything an upload can fail with.
 *
 * Rule 1: the type says what to do, the fields say why.
 *
 * Rule 2: only a refusal for size has "413" or "too large" in its message, whatever text the
 * server sends: applications search messages for these two.
 */

export interface Facts {
  code?: string
  status?: number | null
  retryable?: boolean
  hint?: string
  retryAfter?: number | null
  facts?: Record<string, unknown>
  cause?: unknown
}

const SIZE = /413|too large/i
const UNKNOWN = { code: '', status: null, retryable: false, hint: '', retryAfter: null }

/** The base class of all errors. */
export class UploadFailure extends Error {
  /** The `name` of its errors. A bundler may rename the class itself. */
  protected static readonly kind: string = 'UploadFailure'

  /** The error code of the server, or of this client. */
  readonly code!: string
  /** The HTTP status; null where there was no answer. */
  readonly status!: number | null
  /** The same call may succeed later, and continues where this one ended. */
  readonly retryable!: boolean
  /** What to do about it: a sentence to show to the user. */
  readonly hint!: string
  /** Seconds. */
  readonly retryAfter!: number | null
  /** What the server said: the fields of its problem document. */
  readonly facts!: Record<string, unknown>

  constructor(message: string, facts: Facts = {}) {
    const name = new.target.kind
    const isClean = name === 'TooLarge' || !SIZE.test(message)
    super(isClean ? message : 'The upload failed; `code` and `facts` say why.')
    Object.assign(this, UNKNOWN, { facts: {} }, facts, { name })
  }
}

/** The file is too large for the server, or the smallest chunk is too large for a proxy. */
export class TooLarge extends UploadFailure {
  protected static override readonly kind = 'TooLarge'
}

/** Cancelled here: by `cancel()` or an `AbortSignal`. */
export class Aborted extends UploadFailure {
  protected static override readonly kind = 'AbortError'
}

/** 401 or 403, also with fresh headers. What was sent stays; log in and call again. */
export class Unauthorized extends UploadFailure {
  protected static override readonly kind = 'Unauthorized'
}

/** There was no answer. What was sent may have arrived or not. */
export class ConnectionLost extends UploadFailure {
  protected static override readonly kind = 'ConnectionLost'
}

/** There was no progress for the whole of `patience`; `cause` is the last error. */
export class GaveUp extends UploadFailure {
  protected static override readonly kind = 'GaveUp'
}

/** The upload was cancelled elsewhere, has expired or has failed. Its bytes are deleted. */
export class UploadGone extends UploadFailure {
  protected static override readonly kind = 'UploadGone'
}

/** 507: the file can never fit into the space that the server has. */
export class NoSpace extends UploadFailure {
  protected static override readonly kind = 'NoSpace'
}

/**
 * The request of `uploadVideo` was sent as a whole, and its answer was lost. The upload may be
 * complete. It is not repeated automatically: that could make two.
 */
export class AnswerLost extends UploadFailure {
  protected static override readonly kind = 'AnswerLost'

  constructor(cause: unknown) {
    super('The file was sent, but the answer was lost.', {
      code: 'answer-lost',
      hint: 'Check whether it has arrived.',
      cause,
    })
  }
}

/** The server is full at the moment. Uploads in chunks wait for room; `uploadVideo` throws this. */
export class NoRoom extends UploadFailure {
  protected static override readonly kind = 'NoRoom'
}

/** Any other 4xx: the server does not accept the request, the file or its type. */
export class Refused extends UploadFailure {
  protected static override readonly kind = 'Refused'
}

/** 5xx: the server has failed, or a proxy could not reach it. */
export class ServerFailed extends UploadFailure {
  protected static override readonly kind = 'ServerFailed'
}

/** The answer does not come from Wherry: usually the address is wrong. */
export class UnexpectedAnswer extends UploadFailure {
  protected static override readonly kind = 'UnexpectedAnswer'
}

/** The file can no longer be read: it was changed, moved or deleted on the disk. */
export class FileChanged extends UploadFailure {
  protected static override readonly kind = 'FileChanged'
}
