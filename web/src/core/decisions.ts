/**
 * What an error means for what is done next: one pure function, the twin of decisions.py.
 *
 * Rule 1: `tests/vectors` says for every answer what follows from it, and both clients
 * are held to that.
 */

import {
  ConnectionLost,
  NoRoom,
  TooLarge,
  Unauthorized,
  UnexpectedAnswer,
  UploadGone,
  type UploadFailure,
} from './errors'

export type Next =
  /** The error is the caller's. */
  | 'stop'
  /** The same again after a pause, while there is patience. */
  | 'retry'
  /** The same again after a pause, however long it takes. */
  | 'wait'
  /** It did not come from Wherry: ask for the upload's status before anything more is sent. */
  | 'look'
  /** It is not this upload's turn: ask for its status until it is. */
  | 'line'
  /** The same bytes in smaller requests. */
  | 'smaller'
  /** Every byte is there: ask for completion. */
  | 'complete'
  /** Ask for the status, and send what is missing. */
  | 'missing'
  /** Begin a new upload, once. */
  | 'anew'

/** Where in an upload the error came; `upload` is the whole file in one request. */
export type Verb = 'init' | 'status' | 'chunk' | 'complete' | 'upload'

/**
 * Whether the request is sent again, once, with headers that its caller makes anew.
 *
 * 403 counts as well as 401: frameworks answer it to a token that is missing or has expired.
 */
export const wantsFreshHeaders = (error: UploadFailure): boolean => error instanceof Unauthorized

/** What is to be done after `error` has come instead of the answer to `verb`. */
export function whatNext(error: UploadFailure, verb: Verb): Next {
  const { code, facts } = error
  const isChunk = verb === 'chunk'
  if (error instanceof TooLarge && facts['scope'] !== 'file' && (isChunk || verb === 'upload')) {
    return 'smaller'
  }
  if (verb === 'upload') {
    // Nothing was kept, and what sends chunks knows how to wait.
    if (error instanceof NoRoom) return 'smaller'
    // Every byte is kept; only the hand-over is to be asked for again.
    return code === 'hook-failed' && typeof facts['upload_id'] === 'string' ? 'complete' : 'stop'
  }
  if (code === 'upload-closed' && isChunk) return 'complete'
  if (code === 'bytes-missing' && verb === 'complete') return 'missing'
  // It was left alone for too long. If it was cancelled or refused, that is meant.
  if (error instanceof UploadGone && facts['state'] === 'expired') return 'anew'
  if (!error.retryable) return 'stop'
  if (isChunk) {
    if (code === 'waiting') return 'line'
    // Its bytes may have arrived, and a proxy's error may hide what Wherry said.
    const isNobodys = error instanceof ConnectionLost || error instanceof UnexpectedAnswer
    if (!code || isNobodys) return 'look'
  }
  return error instanceof NoRoom || code === 'busy' ? 'wait' : 'retry'
}
