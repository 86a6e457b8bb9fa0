/**
 * What the server's answers mean: pure functions from an HTTP answer to a value or an error.
 *
 * Rule 1: an answer that is not Wherry's (a proxy's page, a login form, a wrong address)
 * is an error, never a value with missing fields.
 *
 * Rule 2: nothing depends on a header that browsers may hide across origins.
 *
 * Rule 3: a refusal is Wherry's only if it has Wherry's mark, the type `urn:wherry:problem:...`.
 * Applications and proxies send problem documents, too.
 */

import {
  NoRoom,
  NoSpace,
  Refused,
  ServerFailed,
  TooLarge,
  Unauthorized,
  UnexpectedAnswer,
  UploadFailure,
  UploadGone,
} from './errors'
import type { Answer } from './transport'
import type { Range, UploadResult } from './types'

/** The server's view of an upload. What only `init` gives is null elsewhere. */
export interface Status {
  uploadId: string
  /** Whether it is in the queue, whatever its state. */
  isWaiting: boolean
  state: string
  received: Range[]
  position: number | null
  retryAfter: number | null
  chunkSize: number | null
  minChunk: number | null
  concurrency: number | null
  /** Of the parts that may go to the object store; null: all bytes go in chunks. */
  partSize: number | null
  /** How many bytes of the end come second, for an early verdict; null: there is none. */
  tail: number | null
  /** The largest request that passes here, and the smallest that is refused, if the server knows. */
  passes: number | null
  refuses: number | null
  /** The JSON itself. */
  result: UploadResult
}

/** Throws `UnexpectedAnswer`. */
export function parseUpload(answer: Answer): Status {
  const data = parseObject(answer)
  const { upload_id: uploadId, state } = data
  const limits = data['limits'] ?? {}
  const direct = data['direct'] ?? {}
  const path = data['path'] ?? {}
  const early = data['early'] ?? {}
  const areStrings = typeof uploadId === 'string' && typeof state === 'string'
  const areObjects = isObject(limits) && isObject(direct) && isObject(path) && isObject(early)
  if (!areStrings || !areObjects) {
    throw unexpected(answer)
  }
  const count = (value: unknown): number | null => {
    if (value == null || isCount(value)) return value ?? null
    throw unexpected(answer)
  }
  const position = count(data['position'])
  return {
    uploadId,
    state,
    isWaiting: state === 'waiting' || (state === 'receiving' && position !== null),
    received: ranges(answer, data['received'] ?? []),
    position,
    retryAfter: retryAfter(answer, data),
    chunkSize: count(data['chunk_size']),
    minChunk: count(limits['min_chunk']),
    concurrency: count(data['concurrency']),
    partSize: count(direct['part_size']) || null,
    tail: count(early['tail']) || null,
    passes: count(path['passes']),
    refuses: count(path['refuses']),
    result: { assessment_id: null, ...data } as UploadResult,
  }
}

/** The ranges that the server lacks, from its answer to a chunk. Throws `UnexpectedAnswer`. */
export function parseMissing(answer: Answer): Range[] {
  const data = parseObject(answer)
  if (!isCount(data['received_bytes'])) throw unexpected(answer)
  return ranges(answer, data['missing'])
}

/**
 * Whether a request may succeed later, if no problem document says so. 499 is Caddy's for a body that
 * takes too long; 52x is Cloudflare's.
 */
const RETRYABLE = /408|425|429|499|50[0234]|52./

/** The error that an answer with a status of 300 or more stands for. */
export function parseError(answer: Answer): UploadFailure {
  const { status } = answer
  const problem = parseProblem(answer)
  const data = text(problem['type']).startsWith('urn:wherry:problem:') ? problem : null
  const by = data ? '' : refusedBy(answer)
  const facts = data ?? (by ? { refused_by: by } : {})
  const code = text(facts['code'])
  const wait = retryAfter(answer, facts)
  const more = {
    code,
    status,
    retryable: typeof facts['retryable'] === 'boolean' ? facts['retryable'] : RETRYABLE.test(`${status}`),
    hint: text(facts['hint']),
    retryAfter: wait,
    facts,
  }
  // IIS refuses by size with 404 and this number in its page.
  if (status === 413 || (status === 404 && !data && /\b404\.13\b/.test(answer.text))) {
    return new TooLarge(
      facts['scope'] === 'file'
        ? 'The file is too large for the server.'
        : `The request is too large for ${by || 'the server or a proxy'}.`,
      {
        ...more,
        status: 413,
        hint: more.hint || 'Upload in chunks, or raise the limit: `wherry doctor` finds it.',
      },
    )
  }
  if (status < 400) return unexpected(answer, false)
  const said = text(problem['detail']) || text(problem['title'])
  const is = (kind: typeof UploadFailure, message: string, hint = ''): UploadFailure =>
    new kind(said || message, { ...more, hint: more.hint || hint })
  const login = 'Log in and upload again: what has arrived is kept.'
  if (status === 401) return is(Unauthorized, 'The login is missing or expired.', login)
  if (status === 403) return is(Unauthorized, 'This login may not do this.', login)
  if (code === 'upload-gone' || code === 'upload-not-found')
    return is(UploadGone, 'The upload is gone.')
  const isFull = code
    ? /^(no-room|waiting|disk-full)$/.test(code)
    : [429, 503].includes(status) && wait !== null && more.retryable
  if (isFull) return is(NoRoom, 'The server is full.')
  if (status === 507) return is(NoSpace, 'The server has no space for this file.')
  if (status === 404 || status === 405) {
    return is(
      Refused,
      'There is no upload server here.',
      'Check the endpoint: the address before /chunked-upload.',
    )
  }
  if (status < 500) return is(Refused, 'The server refused the request.')
  return is(ServerFailed, 'The server or a proxy failed.')
}

/** Whether every byte has arrived, from any client. `init` would begin a second upload then. */
export function isBrought({ state }: Status): boolean {
  return state === 'completing' || state === 'complete'
}

/** Throws `UploadGone`. */
export function checkNotGone({ state, result }: Status): void {
  if (/cancelled|expired|failed/.test(state)) {
    throw new UploadGone(`The upload is ${state}.`, { code: 'upload-gone', facts: result })
  }
}

/** How the pages of nginx, and of what is made from it, name their server. */
const NAME_ON_PAGE = /<hr><center>([\w./-]{1,40})</i

/**
 * Who answered, by its page, or else by the Server header; empty if neither says it, or the browser hides
 * it. An outer proxy puts its own header on the page of an inner one, so the page counts first.
 */
export function refusedBy({ headers, text }: Answer): string {
  const name = NAME_ON_PAGE.exec(text)?.[1] ?? /^[\w./-]{1,40}/.exec(headers['server'] ?? '')?.[0]
  return name?.toLowerCase() ?? ''
}

/** A problem document, whoever has sent it; empty if the answer is something else. */
function parseProblem(answer: Answer): Record<string, unknown> {
  if (!/^application\/problem\+json\s*(;|$)/i.test(answer.headers['content-type'] ?? '')) return {}
  try {
    return parseObject(answer)
  } catch {
    return {}
  }
}

export function parseObject(answer: Answer): Record<string, unknown> {
  let data: unknown
  try {
    data = JSON.parse(answer.text)
  } catch {
    // Reported below.
  }
  if (!isObject(data)) throw unexpected(answer)
  return data
}

export function unexpected(answer: Answer, retryable = true): UnexpectedAnswer {
  return new UnexpectedAnswer('The answer does not come from Wherry.', {
    code: 'unexpected-answer',
    status: answer.status,
    retryable,
    hint: 'Check the endpoint and the login.',
  })
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function ranges(answer: Answer, value: unknown): Range[] {
  const isRange = (pair: unknown): pair is Range =>
    Array.isArray(pair) &&
    pair.length === 2 &&
    pair.every(isCount) &&
    (pair[0] as number) < (pair[1] as number)
  if (Array.isArray(value) && value.every(isRange)) return value
  throw unexpected(answer)
}

/**
 * RFC 9110 section 10.2.3: seconds, or a date. The body takes precedence over the header, which
 * proxies change and browsers hide.
 */
function retryAfter(answer: Answer, facts: Record<string, unknown>): number | null {
  const said = facts['retry_after']
  if (typeof said === 'number' && said >= 0 && said < Infinity) return said
  const header = answer.headers['retry-after'] ?? ''
  const seconds = /^\d+$/.test(header)
    ? Number(header)
    : / GMT$/.test(header)
      ? Math.max((Date.parse(header) - Date.now()) / 1000, 0)
      : NaN
  return Number.isFinite(seconds) ? seconds : null
}
