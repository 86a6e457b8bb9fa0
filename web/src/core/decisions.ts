/**
 * What to do after an error: one pure function, the twin of decisions.py.
 *
 * Rule 1: `tests/vectors` lists the decision for every answer, and tests both clients with it.
 */

import {
  ConnectionLost,
  NoRoom,
  Refused,
  ServerFailed,
  TooLarge,
  Unauthorized,
  UnexpectedAnswer,
  UploadFailure,
  UploadGone,
} from './errors'

export type Next =
  /** Pass the error on to the caller. */
  | 'stop'
  /** Repeat the request after a pause, until the time without progress is over. */
  | 'retry'
  /** Repeat the request after a pause, however long it takes. */
  | 'wait'
  /** The answer is not Wherry's: ask what the server has before anything more is sent. */
  | 'look'
  /** The upload is queued: read its status until it is admitted. */
  | 'line'
  /** Send the same bytes in smaller requests: a whole file in chunks. */
  | 'smaller'
  /** The server has every byte: complete the upload. */
  | 'complete'
  /** Read the status, and send what is missing. */
  | 'missing'
  /** Begin a new upload, once. */
  | 'anew'

/** The request that failed; `upload` is the whole file in one request. */
export type Verb = 'init' | 'status' | 'chunk' | 'complete' | 'upload'

/**
 * Whether the request is sent again, once, with headers that its caller makes anew.
 *
 * 403 counts as well as 401: frameworks answer it to a token that is missing or has expired.
 */
export const wantsFreshHeaders = (error: UploadFailure): boolean => error instanceof Unauthorized

/**
 * Whether this may be the page of a filter that refuses the body: for its kind, or its size. It is,
 * if the filter lets a request without such a body through. Otherwise, the login is refused.
 */
export const isFiltered = (error: UploadFailure): boolean =>
  !error.code && [400, 403, 404, 406, 415, 501].includes(error.status!)

/** What to do after `error` in answer to `verb`. */
export function whatNext(error: UploadFailure, verb: Verb): Next {
  const { code, facts } = error
  const isChunk = verb === 'chunk'
  const isWhole = verb === 'upload'
  if (error instanceof TooLarge && facts['scope'] !== 'file' && (isChunk || isWhole)) {
    return 'smaller'
  }
  if (isWhole) {
    // The server has kept nothing, and an upload in chunks can wait.
    if (error instanceof NoRoom) return 'smaller'
    // The server has only the chunked routes.
    if (error instanceof Refused && [404, 405].includes(error.status!)) return 'smaller'
    // If it is the login that is refused, so is `init`.
    if (isFiltered(error)) return 'smaller'
    // The server has every byte. Only the handover has failed, so ask for that again.
    if (code === 'hook-failed' && typeof facts['upload_id'] === 'string') return 'complete'
  }
  if (code === 'upload-closed' && isChunk) return 'complete'
  if (code === 'bytes-missing' && verb === 'complete') return 'missing'
  // An upload that expired may begin anew. One that was cancelled or refused may not.
  if (error instanceof UploadGone && facts['state'] === 'expired' && !isWhole) return 'anew'
  if (isChunk && isFiltered(error)) return 'look'
  if (!error.retryable) return 'stop'
  if (isChunk || isWhole) {
    if (code === 'waiting') return 'line'
    // The bytes may have arrived, and a proxy's error may hide Wherry's answer.
    if (!code || error instanceof ConnectionLost || error instanceof UnexpectedAnswer) return 'look'
  }
  // Refusals for what is there already, or for all requests: they are no failures of this one.
  return error instanceof NoRoom || /^(busy|overloaded|rate-limited|stopping)$/.test(code)
    ? 'wait'
    : 'retry'
}

/**
 * Whether a request that failed so was perhaps refused for its size: `next` is what follows. It
 * was, if the server was there all the time.
 */
export function mayHideRefusal(error: UploadFailure, next: Next): boolean {
  return (
    error.code === 'connection-lost' ||
    isFiltered(error) ||
    (next === 'look' && error instanceof ServerFailed)
  )
}

/** `whatNext`; null for an error that is not an `UploadFailure`. */
export function nextAfter(error: unknown, verb: Verb): Next | null {
  return error instanceof UploadFailure ? whatNext(error, verb) : null
}
