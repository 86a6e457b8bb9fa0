/**
 * An examination of the path to the server: makes the requests that the server asks for, and reports
 * what came of them. What it all means is for the server to say.
 *
 * Rule 1: one request at a time, and never more than `MOST_BYTES` or `MOST_REQUESTS`, whatever the
 * server asks for.
 *
 * Rule 2: what a proxy sends is passed on as bytes. Nothing here reads it.
 */

import { paths } from './server'
import type { Examined, MadeRequest, WantedRequest } from './server'
import type { Session } from './session'

const KiB = 1024
export const MOST_BYTES = 32 * KiB * KiB
const MOST_REQUESTS = 40
/** Of an answer: how many bytes of a page are told, how many headers, and how much of each. */
const PAGE = 2 * KiB
const PROBE = 64 * KiB
const HEADERS = 32
const NAME = 64
const VALUE = 200
/** Of a request: how many headers with which it arrived are told. */
const ARRIVED = 200
/** Bodies are made of this many random bytes, again and again. */
const PIECE = 64 * KiB

/** `onWanted` is called before each request, with the bytes of all before it. */
export async function examine(
  session: Session,
  signal: AbortSignal,
  onWanted: (wanted: WantedRequest, sent: number) => void,
): Promise<Examined> {
  const begun = Date.now() / 1000
  const start = performance.now()
  performance.clearResourceTimings() // They may be so many chunks that no more are noted.
  const requests: MadeRequest[] = []
  let sent = 0
  for (;;) {
    const protocol = protocolOf(`${session.place.api}${paths.probe}`)
    const told = { url: session.place.api, begun, protocol, requests }
    const { next, ...found } = await session.post<Examined>(paths.examination, told, signal)
    if (next === null) return { next, ...found }
    if (sent + next.size > MOST_BYTES || requests.length === MOST_REQUESTS) {
      throw new RangeError('The server asks for more requests than an examination may have.')
    }
    onWanted(next, sent)
    sent += next.size
    requests.push(await make(session, next, start, signal))
  }
}

async function make(
  session: Session,
  wanted: WantedRequest,
  start: number,
  signal: AbortSignal,
): Promise<MadeRequest> {
  signal.throwIfAborted()
  const ending = new AbortController()
  const stop = () => ending.abort()
  const timer = setTimeout(stop, wanted.seconds * 1000)
  signal.addEventListener('abort', stop)
  const begun = performance.now()
  const since = () => (performance.now() - begun) / 1000
  const made = { size: wanted.size, began: (begun - start) / 1000 }
  try {
    const query = wanted.drip > 0 ? `?drip=${wanted.drip}` : ''
    const answer = await fetch(`${session.place.api}${paths.probe}${query}`, {
      method: 'POST',
      headers: { ...session.headers(), 'Content-Type': wanted.content_type },
      body: bodyOf(wanted.size),
      cache: 'no-store',
      signal: ending.signal,
    })
    const at = since()
    const body = await beginningOf(answer)
    const headers = headersOf(answer)
    const arrived = answer.status === 200 ? arrivalIn(body) : null
    const page = arrived === null ? inBase64(body.subarray(0, PAGE)) : ''
    return { ...made, end: 'answer', at, over_at: since(), status: answer.status, headers, page, arrived }
  } catch {
    signal.throwIfAborted()
    const end = ending.signal.aborted ? 'timeout' : 'reset'
    return { ...made, end, at: since(), over_at: since() }
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', stop)
  }
}

function bodyOf(size: number): Blob {
  const piece = crypto.getRandomValues(new Uint8Array(Math.min(size, PIECE)))
  return new Blob(Array<Uint8Array<ArrayBuffer>>(Math.ceil(size / PIECE)).fill(piece)).slice(0, size)
}

/** As much as a probe's answer may have: a page may have no end. */
async function beginningOf(answer: Response): Promise<Uint8Array> {
  const pieces: Uint8Array<ArrayBuffer>[] = []
  const reader = answer.body!.getReader()
  let length = 0
  try {
    while (length < PROBE) {
      const { done, value } = await reader.read()
      if (done) break
      pieces.push(value)
      length += value.length
    }
    await reader.cancel()
  } catch {
    // The connection broke in the middle of the page. What came of it is enough.
  }
  return new Uint8Array(await new Blob(pieces).arrayBuffer()).subarray(0, PROBE)
}

function headersOf(answer: Response): Record<string, string> {
  const told = [...answer.headers].filter(([name]) => name.length <= NAME).slice(0, HEADERS)
  return Object.fromEntries(
    told.map(([name, value]) => [name, value.slice(0, VALUE).replaceAll(/[\x00-\x1f\x7f]/g, ' ')]),
  )
}

/** Null if this is no answer of a probe. */
function arrivalIn(body: Uint8Array): MadeRequest['arrived'] {
  try {
    const { bytes, first_byte, last_byte, host, headers } = JSON.parse(new TextDecoder().decode(body))
    return typeof bytes === 'number'
      ? { bytes, first_byte, last_byte, host, headers: namesIn(headers) }
      : null
  } catch {
    return null
  }
}

const namesIn = (headers: object) =>
  Object.keys(headers)
    .filter((name) => name.length <= NAME)
    .slice(0, ARRIVED)

const inBase64 = (bytes: Uint8Array) => btoa(String.fromCharCode(...bytes))

/** Over which HTTP the requests to this address went; null where the browser does not tell. */
function protocolOf(address: string): string | null {
  const [entry] = performance.getEntriesByName(address) as PerformanceResourceTiming[]
  return entry?.nextHopProtocol || null
}
