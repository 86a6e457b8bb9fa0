/** One request, over an XMLHttpRequest that does as it is told. */

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { send, type Asked } from './transport'

class Xhr {
  static last: Xhr
  upload: { onprogress?: (event: { loaded: number; total: number }) => void } = {}
  onload: (() => void) | null = null
  onerror: (() => void) | null = null
  onprogress?: () => void
  withCredentials = false
  status = 200
  responseText = '{}'
  isAborted = false
  given: unknown[] = []
  sent: unknown

  constructor() {
    Xhr.last = this
  }
  open(...given: unknown[]): void {
    this.given.push(given)
  }
  setRequestHeader(...given: unknown[]): void {
    this.given.push(given)
  }
  send(body: unknown): void {
    this.sent = body
  }
  abort(): void {
    this.isAborted = true
  }
  getAllResponseHeaders(): string {
    return 'Content-Type: application/json\r\nRetry-After: 5\r\n'
  }
}

const asked: Asked = {
  method: 'POST',
  url: '/api/x',
  headers: { accept: 'application/json' },
  body: 'body',
  credentials: 'same-origin',
}

beforeEach(() => {
  vi.stubGlobal('XMLHttpRequest', Xhr)
  vi.useFakeTimers()
})

afterEach(() => {
  vi.unstubAllGlobals()
  vi.useRealTimers()
})

describe('a request', () => {
  test('gives its answer', async () => {
    const answer = send(asked)
    expect(Xhr.last.given).toEqual([
      ['POST', '/api/x'],
      ['accept', 'application/json'],
    ])
    expect(Xhr.last.sent).toBe('body')
    Xhr.last.onload?.()
    expect(await answer).toEqual({
      status: 200,
      text: '{}',
      headers: { 'content-type': 'application/json', 'retry-after': '5' },
    })
    expect(vi.getTimerCount()).toBe(0)
  })

  test('tells how much of it is out', async () => {
    const told: number[][] = []
    const answer = send({ ...asked, onSent: (...out) => told.push(out) })
    Xhr.last.upload.onprogress?.({ loaded: 1, total: 4 })
    Xhr.last.onload?.()
    await answer
    expect(told).toEqual([[1, 4]])
  })

  test('that does not listen to its upload needs no leave across origins', () => {
    void send(asked)
    expect(Xhr.last.upload.onprogress).toBeUndefined()
  })

  test('that breaks is a lost connection', async () => {
    const answer = send(asked)
    Xhr.last.onerror?.()
    await expect(answer).rejects.toMatchObject({ name: 'ConnectionLost', code: 'connection-lost' })
  })

  test('in which nothing moves is given up', async () => {
    const answer = send({ ...asked, onSent: () => undefined })
    vi.advanceTimersByTime(119_000)
    Xhr.last.upload.onprogress?.({ loaded: 1, total: 4 })
    vi.advanceTimersByTime(119_000)
    expect(Xhr.last.isAborted).toBe(false)
    vi.advanceTimersByTime(2000)
    await expect(answer).rejects.toMatchObject({ name: 'ConnectionLost', code: 'timed-out' })
    expect(Xhr.last.isAborted).toBe(true)
  })

  test('is ended by its signal', async () => {
    const abort = new AbortController()
    const answer = send({ ...asked, signal: abort.signal })
    abort.abort()
    await expect(answer).rejects.toMatchObject({ name: 'AbortError' })
    expect(Xhr.last.isAborted).toBe(true)
    await expect(send({ ...asked, signal: abort.signal })).rejects.toMatchObject({
      name: 'AbortError',
    })
  })

  test('has cookies for another origin when it is told to', () => {
    void send(asked)
    expect(Xhr.last.withCredentials).toBe(false)
    void send({ ...asked, credentials: 'include' })
    expect(Xhr.last.withCredentials).toBe(true)
  })

  test('without cookies goes by fetch', async () => {
    const fetch = vi.fn(async () => new Response('{}', { status: 201, headers: { 'x-a': 'b' } }))
    vi.stubGlobal('fetch', fetch)
    const told: number[][] = []
    const answer = await send({
      ...asked,
      body: new Blob(['1234']),
      credentials: 'omit',
      onSent: (...out) => told.push(out),
    })
    expect(answer).toMatchObject({ status: 201, text: '{}', headers: { 'x-a': 'b' } })
    expect(fetch.mock.calls[0]).toMatchObject(['/api/x', { credentials: 'omit' }])
    expect(told).toEqual([[4, 4]])
    expect(vi.getTimerCount()).toBe(0)
  })
})

describe('a request without cookies', () => {
  /** A `fetch` that never comes back, unless it is aborted. */
  const silence = (_: unknown, { signal }: { signal: AbortSignal }): Promise<never> =>
    new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
  const outcome = (asked: Asked): (() => unknown) => {
    let seen: unknown = null
    send({ ...asked, credentials: 'omit' }).then(
      (answer) => (seen = answer),
      (error: unknown) => (seen = error),
    )
    return () => seen
  }

  test('in which nothing moves is given up', async () => {
    vi.stubGlobal('fetch', silence)
    const seen = outcome({ ...asked, body: null })
    await vi.advanceTimersByTimeAsync(119_000)
    expect(seen()).toBeNull()
    await vi.advanceTimersByTimeAsync(2000)
    expect(seen()).toMatchObject({ name: 'ConnectionLost', code: 'timed-out' })
    expect(vi.getTimerCount()).toBe(0)
  })

  test.each(['a chunk', 'a form'])('has time for its body: %s', async (kind) => {
    vi.stubGlobal('fetch', silence)
    const chunk = new Blob([new Uint8Array(320 * 1024)])
    const form = new FormData()
    form.append('file', chunk)
    const told: number[][] = []
    const onSent = (...out: number[]): void => void told.push(out)
    const seen = outcome({ ...asked, body: kind === 'a form' ? form : chunk, onSent })
    await vi.advanceTimersByTimeAsync(129_000)
    expect(seen()).toBeNull()
    await vi.advanceTimersByTimeAsync(2000)
    expect(seen()).toMatchObject({ code: 'timed-out' })
    // Whether it was out nobody knows, and what may have arrived is not sent again.
    expect(told).toEqual([[320 * 1024, 320 * 1024]])
  })

  test('whose answer does not end is given up', async () => {
    const endless = new ReadableStream()
    vi.stubGlobal('fetch', async () => new Response(endless))
    const seen = outcome(asked)
    await vi.advanceTimersByTimeAsync(121_000)
    expect(seen()).toMatchObject({ code: 'timed-out' })
  })

  test('is ended by its signal', async () => {
    vi.stubGlobal('fetch', silence)
    const abort = new AbortController()
    const seen = outcome({ ...asked, signal: abort.signal })
    abort.abort()
    await vi.advanceTimersByTimeAsync(0)
    expect(seen()).toMatchObject({ name: 'AbortError' })
    expect(vi.getTimerCount()).toBe(0)
    const again = outcome({ ...asked, signal: abort.signal })
    await vi.advanceTimersByTimeAsync(0)
    expect(again()).toMatchObject({ name: 'AbortError' })
  })

  test('that breaks is a lost connection', async () => {
    vi.stubGlobal('fetch', () => Promise.reject(new TypeError('Failed to fetch')))
    const seen = outcome(asked)
    await vi.advanceTimersByTimeAsync(0)
    expect(seen()).toMatchObject({ name: 'ConnectionLost', code: 'connection-lost' })
  })
})
