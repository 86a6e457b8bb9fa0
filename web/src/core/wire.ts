/**
 * One request each of the chunked API: no retries, no decisions.
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
import type { World } from './world'

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
      throw new Unauthorized('The application gave no headers to log in with.', {
        code: 'no-headers',
        hint: 'Log in and upload again: nothing that arrived is lost.',
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
    private readonly world: World,
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

  /** What the server still misses. */
  async chunk(
    uploadId: string,
    body: Blob,
    { range, crc }: Part,
    signal: AbortSignal,
    onSent: Sent,
  ): Promise<Range[]> {
    const headers: Record<string, string> = { 'content-type': 'application/octet-stream' }
    // Across origins, each header has to be allowed by the server; complete's digest is not one.
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
    // Fields before the file, which begins what is streamed.
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
      // A login that waits for its user may never come.
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
    // A proxy that refuses before it has read a body closes the connection that it promised to
    // keep: the next request that is lost says nothing of the way. What is idempotent goes again.
    const wasRefused = this.wasRefused && !(asked.body instanceof FormData)
    this.wasRefused = false
    try {
      const answer = await this.world.send(asked)
      this.wasRefused = answer.status >= 400
      return answer
    } catch (error) {
      if (wasRefused && error instanceof ConnectionLost && error.code === 'connection-lost') {
        return this.send(asked)
      }
      if (error instanceof ConnectionLost && !this.world.isOnline()) {
        throw new ConnectionLost('There is no network.', {
          code: 'offline',
          retryable: true,
          hint: 'It goes on when the network is back.',
          cause: error,
        })
      }
      throw error
    }
  }
}

/** The endpoint as an absolute address. Throws `UploadFailure` where a browser has none. */
function resolved(endpoint: string): string {
  if (typeof location === 'undefined') return endpoint
  // What a blob: or data: worker, or the document of a frame, is called is no base of an address.
  const bases = [globalThis.document?.baseURI, location.href, globalThis.origin]
  for (const base of bases) {
    try {
      const { protocol, href } = new URL(endpoint, base)
      if (/^https?:$/.test(protocol)) return href.replace(/\/+$/, '')
    } catch {
      // The next one.
    }
  }
  throw new UploadFailure('There is no upload server at this address.', {
    code: 'bad-endpoint',
    hint: 'Give the option `endpoint` as a whole address, like https://example.org/api.',
  })
}

function isSameOrigin(endpoint: string): boolean {
  if (typeof location === 'undefined') return true
  // In a sandboxed frame the address has an origin, and the page has not: its `origin` is "null".
  return new URL(endpoint).origin === globalThis.origin
}
