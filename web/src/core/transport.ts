/**
 * One HTTP request, by XMLHttpRequest: `fetch` does not tell how much of a body is out.
 *
 * Rule 1: it resolves with whatever answer came, and rejects with `ConnectionLost` or
 * `Aborted`, nothing else.
 */

import { Aborted, ConnectionLost } from './errors'

export interface Asked {
  method: string
  url: string
  headers: Record<string, string>
  body: Blob | FormData | string | null
  credentials: 'same-origin' | 'include' | 'omit'
  /** How many bytes of the body are out, and how many there are. */
  onSent?: ((loaded: number, total: number) => void) | undefined
  signal?: AbortSignal | undefined
}

export interface Answer {
  status: number
  text: string
  /** By lower-case name; across origins the browser shows few of them. */
  headers: Record<string, string>
}

export type Transport = (asked: Asked) => Promise<Answer>

/** A request fails after so many seconds in which nothing moved. */
const IDLE = 120
/** Where nobody tells what moves, a body may take its time: at so many bytes a second. */
const SLOWEST = 32 * 1024

export const send: Transport = (asked) =>
  // XMLHttpRequest cannot leave out cookies, and service workers do not have it.
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
      // Whatever comes of it now is nobody's any more.
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
    asked.onSent?.(size, size) // For all we know.
    throw lost('timed-out')
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', end)
  }
}

/** What `promise` gives; `Aborted` as soon as `signal` says so, whatever becomes of it. */
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
      ? 'The server took or said nothing for too long.'
      : 'There is no connection to the server, or it broke.'
  return new ConnectionLost(what, {
    code,
    retryable: true,
    hint: 'Every acknowledged byte is safe; the same upload can go on later.',
  })
}

function fields(xhr: XMLHttpRequest): Record<string, string> {
  // Asked for one by one, those that the browser hides would each make a message in its console.
  const found: Record<string, string> = {}
  for (const line of xhr.getAllResponseHeaders().trim().split('\r\n')) {
    const colon = line.indexOf(':')
    if (colon > 0) found[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim()
  }
  return found
}
