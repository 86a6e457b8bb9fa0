/**
 * The requests of the chunked API, one method each: no retries, no decisions.
 *
 * Rule 1: after a 401 or 403 the function `headers` is called again and the request is sent
 * again, once. What was acknowledged before stays valid.
 */

import { parseError, parseMissing, parseUpload, type Status } from './answers'
import { wantsFreshHeaders } from './decisions'
import { ConnectionLost, Unauthorized, UploadFailure } from './errors'
import { renderDigest, type Part } from './digest'
import type { Source } from './source'
import { unlessAborted, type Answer, type Asked } from './transport'
import type { Headers, Range, UploadOptions } from './types'
import type { Environment } from './environment'

type Sent = (loaded: number, total: number) => void

/** The headers of every request, asked for once and again after a 401 or 403. */
class Login {
  version = 0
  private known: Promise<Record<string, string>> | null = null

  constructor(private readonly headers: Headers | undefined) {}

  get(): Promise<Record<string, string>> {
    this.known ??= this.ask()
    return this.known
  }

  /** Ask anew unless somebody has since `version`. False if there is nobody to ask. */
  refresh(version: number): boolean {
    if (typeof this.headers !== 'function') return false
    if (this.version === version) {
      this.version += 1
      this.known = null
    }
    return true
  }

  private async ask(): Promise<Record<string, string>> {
    try {
      return { ...(typeof this.headers === 'function' ? await this.headers() : this.headers) }
    } catch (cause) {
      this.known = null
      throw new Unauthorized('The application did not provide login headers.', {
        code: 'no-headers',
        hint: 'Log in and upload again: what has arrived is kept.',
        cause,
      })
    }
  }
}

/** The requests of one upload. */
export class Wire {
  readonly endpoint: string
  readonly isSameOrigin: boolean
  private readonly login: Login
  /** The last request was refused. */
  private wasRefused = false

  constructor(
    private readonly environment: Environment,
    private readonly options: UploadOptions,
  ) {
    this.endpoint = resolved((options.endpoint ?? '/api').replace(/\/+$/, ''))
    this.isSameOrigin = isSameOrigin(this.endpoint)
    this.login = new Login(options.headers)
  }

  async init(facts: Record<string, unknown>, signal: AbortSignal): Promise<Status> {
    return parseUpload(await this.post('init', facts, signal))
  }

  async status(uploadId: string, signal: AbortSignal): Promise<Status> {
    const path = `/chunked-upload/${encodeURIComponent(uploadId)}`
    return parseUpload(await this.request('GET', path, {}, null, signal))
  }

  /** Returns the ranges that the server still lacks. */
  async chunk(
    uploadId: string,
    body: Blob,
    { range, crc }: Part,
    signal: AbortSignal,
    onSent: Sent,
  ): Promise<Range[]> {
    const headers: Record<string, string> = { 'content-type': 'application/octet-stream' }
    // Across origins, the server must allow each header. The digest of the whole file is sent in a
    // body, so the file is checked there too.
    if (this.isSameOrigin) headers['content-digest'] = renderDigest(crc)
    const query = new URLSearchParams({ upload_id: uploadId, offset: String(range[0]) })
    return parseMissing(
      await this.request('POST', `/chunked-upload/chunk?${query}`, headers, body, signal, onSent),
    )
  }

  async complete(uploadId: string, crc: bigint | null, signal: AbortSignal): Promise<Status> {
    const digest = crc === null ? null : renderDigest(crc)
    return parseUpload(await this.post('complete', { upload_id: uploadId, digest }, signal))
  }

  async cancel(uploadId: string, signal: AbortSignal): Promise<void> {
    await this.post('cancel', { upload_id: uploadId }, signal)
  }

  /** The whole file in one ordinary request. */
  async whole(source: Source, signal: AbortSignal, onSent: Sent): Promise<Status> {
    const form = new FormData()
    // The fields come before the file: the server streams everything after them.
    for (const [name, value] of Object.entries(this.options.metadata ?? {}))
      form.append(name, value)
    const { file, name, type } = source
    form.append('file', type && type !== file.type ? file.slice(0, file.size, type) : file, name)
    return parseUpload(await this.request('POST', '/chunked-upload/upload', {}, form, signal, onSent))
  }

  private post(verb: string, facts: Record<string, unknown>, signal: AbortSignal): Promise<Answer> {
    const given = Object.entries(facts).filter(([, value]) => value != null)
    const body = JSON.stringify(Object.fromEntries(given))
    const headers = { 'content-type': 'application/json' }
    return this.request('POST', `/chunked-upload/${verb}`, headers, body, signal)
  }

  private async request(
    method: string,
    path: string,
    headers: Record<string, string>,
    body: Asked['body'],
    signal: AbortSignal,
    onSent?: Sent,
  ): Promise<Answer> {
    for (let isLastTry = false; ; isLastTry = true) {
      const version = this.login.version
      // A login that waits for the user may never end.
      const login = await unlessAborted(this.login.get(), signal)
      const answer = await this.send({
        method,
        url: this.endpoint + path,
        headers: { accept: 'application/json', ...login, ...headers },
        body,
        credentials: this.options.credentials ?? 'same-origin',
        signal,
        onSent,
      })
      if (answer.status >= 200 && answer.status < 300) return answer
      const error = parseError(answer)
      if (isLastTry || !wantsFreshHeaders(error) || !this.login.refresh(version)) throw error
    }
  }

  private async send(asked: Asked): Promise<Answer> {
    // A proxy that refuses a request before it has read the body closes the connection, although it
    // promised to keep it. The next request on that connection fails for this reason alone, so
    // an idempotent one is sent again.
    const wasRefused = this.wasRefused && !(asked.body instanceof FormData)
    this.wasRefused = false
    try {
      const answer = await this.environment.send(asked)
      this.wasRefused = answer.status >= 400
      return answer
    } catch (error) {
      if (wasRefused && error instanceof ConnectionLost && error.code === 'connection-lost') {
        return this.send(asked)
      }
      if (error instanceof ConnectionLost && !this.environment.isOnline()) {
        throw new ConnectionLost('The browser is offline.', {
          code: 'offline',
          retryable: true,
          hint: 'The upload continues when the network is back.',
          cause: error,
        })
      }
      throw error
    }
  }
}

/** The endpoint as an absolute address. Throws `UploadFailure` if the page has no such address. */
function resolved(endpoint: string): string {
  if (typeof location === 'undefined') return endpoint
  // The address of a blob: or data: worker or frame cannot be the base of another address.
  const bases = [globalThis.document?.baseURI, location.href, globalThis.origin]
  for (const base of bases) {
    try {
      const { protocol, href } = new URL(endpoint, base)
      if (/^https?:$/.test(protocol)) return href.replace(/\/+$/, '')
    } catch {
      // Try the next base.
    }
  }
  throw new UploadFailure('The endpoint is not a web address.', {
    code: 'bad-endpoint',
    hint: 'Set the option `endpoint` to an absolute address, like https://example.org/api.',
  })
}

function isSameOrigin(endpoint: string): boolean {
  if (typeof location === 'undefined') return true
  // A sandboxed frame has an address with an origin, but its own `origin` is "null".
  return new URL(endpoint).origin === globalThis.origin
}
