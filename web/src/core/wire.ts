/**
 * The requests of the chunked API, one method each: no retries, no decisions.
 *
 * Rule 1: after a 401 or 403 the function `headers` is called again and the request is sent
 * again, once. What was acknowledged before stays valid.
 */

import { parseError, parseMissing, parseObject, parseUpload, type Status } from './answers'
import { unknownPath, type NetworkPath } from './chunkSize'
import { wantsFreshHeaders } from './decisions'
import { ConnectionLost, Unauthorized, UploadFailure } from './errors'
import { renderCrc, renderDigest, type Part } from './digest'
import { parseAddresses, type PartAddress } from './direct'
import type { Source } from './source'
import { unlessAborted, type Answer, type Asked } from './transport'
import type { Range, UploadOptions } from './types'
import type { Environment } from './environment'

/** How long a path is remembered (seconds), so that a raised limit is noticed. */
const REMEMBERED = 86_400

export type Sent = (loaded: number, total: number) => void

/** The requests of one upload. */
export class Wire {
  readonly endpoint: string
  readonly isSameOrigin: boolean
  readonly origin: string
  readonly path: NetworkPath
  /** The headers of every request: asked for once, and again after a 401 or 403. */
  private login: Promise<Record<string, string>> | null = null
  /** The last request was refused. */
  private wasRefused = false

  constructor(
    private readonly environment: Environment,
    private readonly options: UploadOptions,
  ) {
    this.endpoint = resolved((options.endpoint ?? '/api').replace(/\/+$/, ''))
    this.isSameOrigin = isSameOrigin(this.endpoint)
    this.origin = this.endpoint.split('/', 3).join('/')
    const { kept, paths } = environment
    const now = Date.now() / 1000
    const known = paths.get(this.origin) ?? kept.get(this.origin)
    this.path = now - known.since < REMEMBERED ? known : unknownPath(now)
    paths.set(this.origin, this.path)
  }

  async init(facts: Record<string, unknown>, signal: AbortSignal): Promise<Status> {
    const { report } = this.path
    const opened = parseUpload(await this.post('init', { ...facts, ...report }, signal))
    this.noteReported(report)
    return opened
  }

  async status(uploadId: string, signal: AbortSignal): Promise<Status> {
    const path = `/chunked-upload/${encodeURIComponent(uploadId)}`
    return parseUpload(await this.request('GET', path, {}, null, signal))
  }

  async earlyVerdict(uploadId: string, signal: AbortSignal): Promise<Record<string, unknown>> {
    const path = `/chunked-upload/${encodeURIComponent(uploadId)}/early-verdict`
    return parseObject(await this.request('GET', path, {}, null, signal))
  }

  /** Returns the ranges that the server still lacks. */
  async chunk(
    uploadId: string,
    body: Blob,
    { range, crc }: Part,
    signal: AbortSignal,
    onSent: Sent,
  ): Promise<Range[]> {
    // Across origins, the server must allow each header. The digest of the whole file is sent in a
    // body, so the file is checked there too.
    const digest = this.isSameOrigin ? { 'content-digest': renderDigest(crc) } : null
    const { asForm, report } = this.path
    const kind = asForm ? null : { 'content-type': 'application/octet-stream' }
    const about = { upload_id: uploadId, offset: range[0], ...report }
    const query = new URLSearchParams(about as unknown as Record<string, string>)
    const path = `/chunked-upload/chunk?${query}`
    const content = asForm ? formOf('chunk', body) : body
    const answer = await this.request('POST', path, { ...kind, ...digest }, content, signal, onSent)
    this.noteReported(report)
    return parseMissing(answer)
  }

  private noteReported(report: NetworkPath['report']): void {
    if (this.path.report === report) this.path.report = null // Otherwise, there is a newer one.
  }

  /** Where these parts may be sent to; without those that the server has. */
  async addresses(
    uploadId: string,
    crcs: Map<number, bigint>,
    signal: AbortSignal,
  ): Promise<Map<number, PartAddress>> {
    const parts = [...crcs].map(([number, crc]) => ({ number, crc64nvme: renderCrc(crc) }))
    return parseAddresses(await this.post('direct', { upload_id: uploadId, parts }, signal))
  }

  /** The answer of the object store, whatever it is. The store gets nothing of the login. */
  put(address: PartAddress, body: Blob, signal: AbortSignal, onSent: Sent): Promise<Answer> {
    return this.exchange({ ...address, body, credentials: 'same-origin', signal, onSent })
  }

  /** Report parts that were sent to the object store. Returns the ranges that the server still lacks. */
  async report(uploadId: string, parts: number[], signal: AbortSignal): Promise<Range[]> {
    return parseMissing(await this.post('direct/received', { upload_id: uploadId, parts }, signal))
  }

  async complete(uploadId: string, crc: bigint | null, signal: AbortSignal): Promise<Status> {
    const digest = crc === null ? null : renderDigest(crc)
    return parseUpload(await this.post('complete', { upload_id: uploadId, digest }, signal))
  }

  async cancel(uploadId: string, signal: AbortSignal): Promise<void> {
    await this.post('cancel', { upload_id: uploadId }, signal)
  }

  /**
   * The whole file in one request, which is a form if the file has metadata, without a `key`, and where
   * a filter wants it.
   *
   * A request that repeats the key of another gets its answer.
   */
  async whole(
    { file, name, size, type }: Source,
    key: string | null,
    crc: bigint,
    signal: AbortSignal,
    onSent: Sent,
  ): Promise<Status> {
    const fields = Object.entries(this.options.metadata ?? {})
    const typed = file.slice(0, size, type ?? 'application/octet-stream')
    if (!key || fields.length || this.path.asForm) {
      return this.keyed(key, formOf('file', typed, name, fields), signal, {}, onSent)
    }
    const encoded = String(new URLSearchParams({ name })).slice(5).replaceAll('+', '%20')
    const headers = {
      'content-disposition': `attachment; filename*=UTF-8''${encoded}`,
      'content-digest': renderDigest(crc),
    }
    return this.keyed(key, typed, signal, headers, onSent)
  }

  /** Without a body: the answer to the request with this key. The server refuses an unknown key. */
  async keyed(
    key: string | null,
    body: Asked['body'],
    signal: AbortSignal,
    headers: Record<string, string> = {},
    onSent?: Sent,
  ): Promise<Status> {
    if (key) headers['idempotency-key'] = `"${key}"`
    return parseUpload(
      await this.request('POST', '/chunked-upload/upload', headers, body, signal, onSent),
    )
  }

  private post(verb: string, facts: Record<string, unknown>, signal: AbortSignal): Promise<Answer> {
    const body = JSON.stringify(facts, (_, value: unknown) => value ?? undefined)
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
      const login = (this.login ??= this.askForLogin())
      const answer = await this.send({
        method,
        url: this.endpoint + path,
        // A login that waits for the user may never end.
        headers: { accept: 'application/json', ...(await unlessAborted(login, signal)), ...headers },
        body,
        credentials: this.options.credentials ?? 'same-origin',
        signal,
        onSent,
      })
      if (answer.status >= 200 && answer.status < 300) return answer
      const error = parseError(answer)
      const isFixed = typeof this.options.headers !== 'function'
      if (isLastTry || isFixed || !wantsFreshHeaders(error)) throw error
      // Another request may have asked for a newer one meanwhile.
      if (this.login === login) this.login = null
    }
  }

  private async askForLogin(): Promise<Record<string, string>> {
    const { headers } = this.options
    try {
      return { ...(typeof headers === 'function' ? await headers() : headers) }
    } catch (cause) {
      this.login = null
      throw new Unauthorized('The application did not provide login headers.', {
        code: 'no-headers',
        hint: 'Log in and upload again: what has arrived is kept.',
        cause,
      })
    }
  }

  private async send(asked: Asked): Promise<Answer> {
    // A proxy that refuses a request before it has read the body closes the connection, although it
    // promised to keep it. The next request on that connection fails for this reason alone, so
    // an idempotent one is sent again.
    const wasRefused = this.wasRefused && !(asked.body instanceof FormData)
    this.wasRefused = false
    try {
      const answer = await this.exchange(asked)
      this.wasRefused = answer.status >= 400
      return answer
    } catch (error) {
      const isLost = error instanceof ConnectionLost && error.code === 'connection-lost'
      if (!wasRefused || !isLost) throw error
      return this.send(asked)
    }
  }

  private async exchange(asked: Asked): Promise<Answer> {
    try {
      return await this.environment.send(asked)
    } catch (error) {
      if (!(error instanceof ConnectionLost) || this.environment.isOnline()) throw error
      throw new ConnectionLost('The browser is offline.', {
        code: 'offline',
        retryable: true,
        hint: 'It continues when the network is back.',
        cause: error,
      })
    }
  }
}

/** The fields come before the file: the server streams everything after them. */
function formOf(field: string, file: Blob, name?: string, fields: string[][] = []): FormData {
  const form = new FormData()
  for (const [key, value] of fields) form.append(key!, value!)
  form.append(field, file, name)
  return form
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
  })
}

function isSameOrigin(endpoint: string): boolean {
  if (typeof location === 'undefined') return true
  // A sandboxed frame has an address with an origin, but its own `origin` is "null".
  return new URL(endpoint).origin === globalThis.origin
}
