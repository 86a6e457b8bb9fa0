/**
 * One HTTP request, by XMLHttpRequest: `fetch` does not report how much of a body is sent.
 *
 * Rule 1: it resolves with any answer, and rejects with `ConnectionLost` or `Aborted` only.
 */

import { Aborted, ConnectionLost } from './errors'

export interface Asked {
  method: string
  url: string
  headers: Record<string, string>
  body: Blob | FormData | string | null
  credentials: 'same-origin' | 'include' | 'omit'
  /** Called with the bytes of the body sent so far, and their total. */
  onSent?: ((loaded: number, total: number) => void) | undefined
  signal?: AbortSignal | undefined
}

export interface Answer {
  status: number
  text: string
  /** By lower-case name. Across origins the browser shows few of them. */
  headers: Record<string, string>
}

export type Transport = (asked: Asked) => Promise<Answer>

/** A request fails after this many seconds without progress. */
const IDLE = 120
/** `fetch` reports no progress, so its time limit allows for this many bytes a second. */
const SLOWEST = 32 * 1024

export const send: Transport = (asked) =>
  // XMLHttpRequest always sends cookies, and service workers do not have it.
  asked.credentials === 'omit' || typeof XMLHttpRequest === 'undefined'
    ? sendByFetch(asked)
    : sendByXhr(asked)

function sendByXhr(asked: Asked): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const xhr = new XMLHttpRequest()
    let timer: ReturnType<typeof setTimeout>
    const moved = (): void => {
      clearTimeout(timer)
      timer = setTimeout(() => end(lost('timed-out')), IDLE * 1000)
    }
    const aborted = (): void => end(new Aborted('The request was aborted.'))
    const end = (error: Error | null): void => {
      clearTimeout(timer)
      // Nothing may be reported after the end.
      xhr.upload.onprogress = xhr.onprogress = null
      asked.signal?.removeEventListener('abort', aborted)
      if (!error)
        return resolve({ status: xhr.status, text: xhr.responseText, headers: fields(xhr) })
      xhr.onload = xhr.onerror = null
      xhr.abort()
      reject(error)
    }
    if (asked.signal?.aborted) return aborted()
    asked.signal?.addEventListener('abort', aborted)
    xhr.open(asked.method, asked.url)
    xhr.withCredentials = asked.credentials === 'include'
    for (const [name, value] of Object.entries(asked.headers)) xhr.setRequestHeader(name, value)
    if (asked.onSent) {
      xhr.upload.onprogress = (event) => {
        moved()
        asked.onSent?.(event.loaded, event.total)
      }
    }
    xhr.onprogress = moved
    xhr.onload = () => end(null)
    xhr.onerror = () => end(lost('connection-lost'))
    moved()
    xhr.send(asked.body)
  })
}

async function sendByFetch(asked: Asked): Promise<Answer> {
  const { method, headers, body, credentials, signal } = asked
  const size = sizeOf(body)
  const ending = new AbortController()
  const end = (): void => ending.abort()
  let timer = setTimeout(end, (IDLE + size / SLOWEST) * 1000)
  signal?.addEventListener('abort', end)
  if (signal?.aborted) end()
  const ask = async (): Promise<Answer> => {
    const answer = await fetch(asked.url, {
      method,
      headers,
      body,
      credentials,
      signal: ending.signal,
    })
    clearTimeout(timer)
    timer = setTimeout(end, IDLE * 1000)
    const text = await answer.text()
    asked.onSent?.(size, size)
    return { status: answer.status, text, headers: Object.fromEntries(answer.headers) }
  }
  try {
    return await unlessAborted(ask(), ending.signal)
  } catch {
    if (signal?.aborted) throw new Aborted('The request was aborted.')
    if (!ending.signal.aborted) throw lost('connection-lost')
    asked.onSent?.(size, size) // It may have been sent as a whole.
    throw lost('timed-out')
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', end)
  }
}

/** The value of `promise`; rejects with `Aborted` as soon as `signal` is aborted. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(new Aborted('The request was aborted.'))
    signal.addEventListener('abort', abort, { once: true })
    void promise.then(resolve, reject).then(() => signal.removeEventListener('abort', abort))
    if (signal.aborted) abort()
  })
}

function sizeOf(body: Asked['body']): number {
  const parts = body instanceof FormData ? [...body.values()] : [body ?? '']
  return parts.reduce((sum, part) => sum + (part instanceof Blob ? part.size : part.length), 0)
}

function lost(code: string): ConnectionLost {
  const what =
    code === 'timed-out'
      ? 'The server did not respond.'
      : 'The connection to the server failed.'
  return new ConnectionLost(what, {
    code,
    retryable: true,
    hint: 'Every acknowledged byte is safe; the upload can continue later.',
  })
}

function fields(xhr: XMLHttpRequest): Record<string, string> {
  // Reading a hidden header by its name would log an error in the browser's console.
  const lines = xhr.getAllResponseHeaders().matchAll(/^(.+?):\s*(.*?)\s*$/gm)
  return Object.fromEntries([...lines].map(([, name, value]) => [name!.toLowerCase(), value!]))
}
