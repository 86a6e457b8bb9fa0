/**
 * A server that speaks the chunked API from memory and does what a test orders, and a environment
 * in which time passes only while everybody waits.
 */

import type { Control } from '../control'
import { crc64, renderDigest } from '../digest'
import { Aborted, ConnectionLost } from '../errors'
import { unknownPath, type NetworkPath } from '../chunkSize'
import { bytesIn, gaps, merge } from '../ranges'
import { unlessAborted, type Answer, type Asked } from '../transport'
import type { Range } from '../types'
import type { Environment } from '../environment'

export const KiB = 1024
export const STEP = 64 * KiB

/** A file of bytes that differ everywhere. */
export function someFile(size: number, seed = 1, name = 'film.mp4'): File {
  const bytes = new Uint8Array(size)
  for (let at = 0, x = seed; at < size; at++) {
    x = (Math.imul(x, 1103515245) + 12345) >>> 0
    bytes[at] = x >>> 16
  }
  return new File([bytes], name, { lastModified: 1_700_000_000_000, type: 'video/mp4' })
}

export class Clock {
  now = 0
  private timers = new Set<{ at: number; act: () => void }>()
  private isRunning = false

  after(seconds: number, act: () => void): () => void {
    const timer = { at: this.now + seconds, act }
    this.timers.add(timer)
    this.run()
    return () => this.timers.delete(timer)
  }

  /** Let the next timer ring, again and again, each after everything else has come to rest. */
  private run(): void {
    if (this.isRunning) return
    this.isRunning = true
    let rest = 0
    const turn = (): void => {
      if (++rest < 6) return void setImmediate(turn)
      rest = 0
      const next = [...this.timers].sort((a, b) => a.at - b.at)[0]
      if (!next) return void (this.isRunning = false)
      this.timers.delete(next)
      this.now = Math.max(this.now, next.at)
      next.act()
      setImmediate(turn)
    }
    setImmediate(turn)
  }
}

/** What several uploads in one browser share. */
export class FakeEnvironment implements Environment {
  readonly clock: Clock
  /** Most tests are about chunks, on a fast line; the others call `paths.clear()`. */
  paths = new Map([['/api', { ...unknownPath(), pace: Infinity, takesWhole: false }]])
  ways: Environment['ways'] = new Map()
  turns: Control[] = []
  /** Outlives a page: `paths` does not. */
  private readonly met = new Map<string, NetworkPath>()
  readonly kept: Environment['kept'] = {
    get: (origin) => ({ ...(this.met.get(origin) ?? unknownPath()) }),
    set: (origin, path) => void this.met.set(origin, { ...path }),
  }
  isEarly = (): boolean => false
  online = true
  lockManager: LockManager | null = null
  private listeners = new Set<() => void>()
  private tickers = new Set<() => void>()

  constructor(
    readonly server: FakeServer,
    clock = new Clock(),
  ) {
    this.clock = clock
  }

  send = (asked: Asked): Promise<Answer> =>
    this.online ? this.server.answer(asked) : Promise.reject(lost())
  now = (): number => this.clock.now
  after = (seconds: number, act: () => void): (() => void) => this.clock.after(seconds, act)
  every = (_: number, act: () => void): (() => void) => {
    this.tickers.add(act)
    return () => this.tickers.delete(act)
  }
  jitter = (): number => 1
  isOnline = (): boolean => this.online
  onOnline = (act: () => void): (() => void) => {
    this.listeners.add(act)
    return () => this.listeners.delete(act)
  }
  locks = (): LockManager | null => this.lockManager

  /** How many uploads wait for the network. */
  get listening(): number {
    return this.listeners.size
  }

  /** What a browser does once a second. */
  tick(): void {
    for (const act of this.tickers) act()
  }

  comeBack(): void {
    this.online = true
    for (const act of this.listeners) act()
  }

  /** The way to the default endpoint, as it is known. */
  get way(): NetworkPath {
    return this.paths.get('/api') ?? unknownPath()
  }
}

export function lost(): ConnectionLost {
  return new ConnectionLost('The connection broke.', { code: 'connection-lost', retryable: true })
}

export function reply(status: number, value: object): Answer {
  return { status, text: JSON.stringify(value), headers: { 'content-type': 'application/json' } }
}

/** What a proxy says. */
export function page(status: number, headers: Record<string, string> = {}): Answer {
  return { status, text: '<html>no</html>', headers: { 'content-type': 'text/html', ...headers } }
}

export function problem(status: number, code: string, facts: Record<string, unknown> = {}): Answer {
  const type = `urn:wherry:problem:${code}`
  const own = { type, status, code, detail: code, retryable: false, hint: '' }
  const text = JSON.stringify({ ...own, ...facts })
  return { status, text, headers: { 'content-type': 'application/problem+json' } }
}

export interface Request {
  method: string
  path: string
  /** `init`, `chunk`, `complete`, `cancel`, `upload`, or `status`. */
  verb: string
  query: URLSearchParams
  headers: Record<string, string>
  json: Record<string, unknown>
  /** How many bytes the body has. */
  size: number
}

export class FakeUpload {
  state = 'receiving'
  received: Range[] = []
  position: number | null = null
  failure: string | null = null
  readonly data: Uint8Array

  constructor(
    readonly id: string,
    readonly asked: Record<string, unknown>,
  ) {
    this.data = new Uint8Array(asked['size'] as number)
  }
}

/**
 * `trouble(request)` may answer instead of the server, or break the connection; `after(request)`
 * may put another answer in the place of the server's own. `hold` is awaited while a request
 * counts as one of those `atOnce`.
 */
export class FakeServer {
  chunkSize = 4 * STEP
  minChunk = STEP
  concurrency = 4
  /** As of a proxy in front. */
  maxBody = Infinity
  /** The same limit, showing itself as a broken connection. */
  resets = false
  /** What it knows of the path to it. */
  path: object | null = null
  /** How many bytes of the end it wants second, and what it answers to a question for the early verdict. */
  tail: number | null = null
  early: object = {}
  uploads = new Map<string, FakeUpload>()
  asked: Request[] = []
  atOnce = 0
  mostAtOnce = 0
  names = 0
  prefix = 'u'
  trouble: (request: Request) => Answer | Error | null | undefined = () => null
  after: (request: Request) => Answer | Error | null | undefined = () => null
  hold: (request: Request) => Promise<void> = async () => undefined
  /** The uploads of requests with a whole file, by their keys. */
  private readonly keys = new Map<string, FakeUpload>()

  get only(): FakeUpload {
    const [upload, ...more] = this.uploads.values()
    if (!upload || more.length) throw new Error(`there are ${this.uploads.size} uploads`)
    return upload
  }

  verbs(verb: string): Request[] {
    return this.asked.filter((request) => request.verb === verb)
  }

  async answer(asked: Asked): Promise<Answer> {
    if (asked.signal?.aborted) throw new Aborted('aborted')
    const bytes = await bytesOf(asked.body)
    const request = this.parse(asked, bytes)
    this.asked.push(request)
    if (request.size > this.maxBody) {
      if (this.resets) throw lost()
      return page(413)
    }
    asked.onSent?.(request.size / 2, request.size)
    this.atOnce += 1
    this.mostAtOnce = Math.max(this.mostAtOnce, this.atOnce)
    try {
      const held = this.hold(request)
      await (asked.signal ? unlessAborted(held, asked.signal) : held)
    } finally {
      this.atOnce -= 1
    }
    const trouble = this.trouble(request)
    if (trouble instanceof Error) throw trouble
    if (trouble) return trouble
    asked.onSent?.(request.size, request.size)
    const own = this.own(request, bytes)
    const instead = this.after(request)
    if (instead instanceof Error) throw instead
    return instead ?? own
  }

  protected parse(asked: Asked, bytes: Uint8Array): Request {
    const url = new URL(asked.url, 'http://test')
    const path = url.pathname.replace(/^\/api/, '')
    const last = path.split('/').at(-1)!
    const verb = asked.method === 'GET' && last !== 'early-verdict' ? 'status' : last
    const isJson = asked.headers['content-type'] === 'application/json'
    const json = isJson
      ? (JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>)
      : {}
    const { method, headers } = asked
    return { method, path, verb, query: url.searchParams, headers, json, size: bytes.length }
  }

  protected own(request: Request, bytes: Uint8Array): Answer {
    if (request.verb === 'init') return this.init(request)
    if (request.verb === 'early-verdict') return reply(200, this.early)
    const named =
      request.verb === 'status'
        ? request.path.split('/').at(-1)
        : (request.json['upload_id'] ?? request.query.get('upload_id'))
    if (request.verb === 'upload') return this.whole(request, bytes)
    const upload = this.uploads.get(String(named))
    if (!upload) return problem(404, 'upload-not-found')
    if (request.verb === 'status') return reply(200, this.render(upload))
    if (['cancelled', 'expired', 'failed'].includes(upload.state) && request.verb !== 'cancel') {
      return problem(410, 'upload-gone', { state: upload.state })
    }
    if (request.verb === 'chunk') return this.chunk(upload, request, bytes)
    if (request.verb === 'complete') return this.complete(upload, request)
    if (upload.state === 'complete') return problem(409, 'upload-closed')
    upload.state = 'cancelled'
    return reply(200, { upload_id: upload.id, state: upload.state })
  }

  private whole({ headers }: Request, bytes: Uint8Array): Answer {
    const key = headers['idempotency-key'] ?? ''
    let upload = this.keys.get(key)
    if (!upload) {
      const name = headers['content-disposition'] ?? (bytes.length ? 'a form' : '')
      if (!name) return problem(400, 'bad-request', { field: 'content-disposition' })
      const digest = headers['content-digest']
      if (digest !== undefined && digest !== renderDigest(crc64(bytes))) {
        return problem(422, 'digest-mismatch', { retryable: true })
      }
      upload = this.create({ size: bytes.length, filename: name })
      upload.data.set(bytes)
      upload.state = 'complete'
      if (key) this.keys.set(key, upload)
    }
    if (upload.state !== 'complete') return problem(410, 'upload-gone', { state: upload.state })
    const { id, state } = upload
    return reply(200, { upload_id: id, assessment_id: `a-${id}`, state })
  }

  protected init(request: Request): Answer {
    const { json } = request
    const found = [...this.uploads.values()].find(
      (upload) =>
        ['receiving', 'waiting'].includes(upload.state) &&
        upload.asked['fingerprint'] === json['fingerprint'] &&
        upload.asked['size'] === json['size'],
    )
    const upload = found ?? this.create(json)
    return reply(found ? 200 : 201, {
      ...this.render(upload),
      chunk_size: json['chunk_size'] ?? this.chunkSize,
      limits: { min_chunk: this.minChunk },
      concurrency: this.concurrency,
      path: this.path,
      early: this.tail && { tail: this.tail },
    })
  }

  create(asked: Record<string, unknown>): FakeUpload {
    const upload = new FakeUpload(`${this.prefix}${++this.names}`, asked)
    this.uploads.set(upload.id, upload)
    return upload
  }

  private chunk(upload: FakeUpload, request: Request, bytes: Uint8Array): Answer {
    if (upload.state === 'waiting') {
      return problem(429, 'waiting', { retryable: true, position: 1, retry_after: 2 })
    }
    if (upload.state !== 'receiving') return problem(409, 'upload-closed', { state: upload.state })
    const start = Number(request.query.get('offset'))
    const end = start + bytes.length
    if (bytes.length < this.minChunk && end < upload.data.length) {
      return problem(400, 'chunk-below-minimum')
    }
    const digest = request.headers['content-digest']
    if (digest !== undefined && digest !== renderDigest(crc64(bytes))) {
      return problem(422, 'digest-mismatch', { retryable: true })
    }
    this.receive(upload, start, bytes)
    return this.lacks(upload)
  }

  protected receive(upload: FakeUpload, start: number, bytes: Uint8Array): void {
    upload.data.set(bytes, start)
    upload.received = merge([...upload.received, [start, start + bytes.length]])
  }

  /** The answer to a chunk. */
  protected lacks({ data, received }: FakeUpload): Answer {
    const missing = gaps(received, data.length).slice(0, 100)
    return reply(200, { received_bytes: bytesIn(received), missing })
  }

  private complete(upload: FakeUpload, request: Request): Answer {
    const missing = gaps(upload.received, upload.data.length)
    if (missing.length && upload.state !== 'complete') {
      return problem(409, 'bytes-missing', { missing: missing.slice(0, 100) })
    }
    const digest = request.json['digest']
    if (digest !== undefined && digest !== renderDigest(crc64(upload.data))) {
      upload.state = 'failed'
      return problem(422, 'file-digest-mismatch')
    }
    if (upload.state === 'receiving') upload.state = 'complete'
    const assessment = upload.state === 'complete' ? `a-${upload.id}` : null
    return reply(upload.state === 'complete' ? 200 : 202, {
      upload_id: upload.id,
      assessment_id: assessment,
      state: upload.state,
    })
  }

  private render(upload: FakeUpload): Record<string, unknown> {
    return {
      upload_id: upload.id,
      state: upload.state,
      received: upload.received,
      position: upload.position,
      retry_after: upload.position === null ? null : 2,
      assessment_id: upload.state === 'complete' ? `a-${upload.id}` : null,
    }
  }
}

async function bytesOf(body: Asked['body']): Promise<Uint8Array> {
  if (body === null) return new Uint8Array()
  if (typeof body === 'string') return new TextEncoder().encode(body)
  const blob = body instanceof FormData ? ((body.get('file') ?? body.get('chunk')) as Blob) : body
  return new Uint8Array(await blob.arrayBuffer())
}

export async function bytes(file: Blob): Promise<Uint8Array> {
  return new Uint8Array(await file.arrayBuffer())
}

/** Whether what the server has is the file, byte for byte. */
export async function hasArrived(upload: FakeUpload | undefined, file: Blob): Promise<boolean> {
  return upload !== undefined && Buffer.from(upload.data).equals(await bytes(file))
}

/** A signal, and how many listen to it. */
export function listened(): AbortSignal & { listening: number } {
  const signal = Object.assign(new AbortController().signal, { listening: 0 })
  const { addEventListener, removeEventListener } = EventTarget.prototype
  signal.addEventListener = (...given: Parameters<typeof addEventListener>) => {
    signal.listening += 1
    addEventListener.apply(signal, given)
  }
  signal.removeEventListener = (...given: Parameters<typeof removeEventListener>) => {
    signal.listening -= 1
    removeEventListener.apply(signal, given)
  }
  return signal
}
