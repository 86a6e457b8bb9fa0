/**
 * Parts that go to the object store directly: where to, and when to give that up.
 *
 * Rule 1: no clock, no randomness, no I/O, as in `plan.ts`. The twin of direct.py; `tests/vectors`
 * (`direct.json`) says what both do.
 *
 * Rule 2: nothing shows whether this browser reaches the store, until it has tried: a firewall or a
 * missing CORS rule may prevent it. So one failure is enough while nothing has ever passed; after
 * that, several in a row are.
 */

import { parseObject, unexpected } from './answers'
import { MiB } from './chunkSize'
import type { Answer } from './transport'

/** So many failures in a row close the way. Those that were in flight together count once. */
const TRIES = 5
/** A larger part goes in chunks (bytes): when it fails, all of it is sent again. */
export const LARGEST_PART = 64 * MiB

/** Without an answer, because the address has expired, or with this status. */
export type StoreFailure = 'network' | 'expired' | number

/** The way to the object store, as all uploads of a page have found it. */
export class DirectWay {
  isOpen = true
  private hasPassed = false
  private failures = 0
  private failedAt = -Infinity

  /** A part has arrived. A request that began before the last failure proves nothing. */
  passed(began: number): void {
    this.hasPassed = true
    if (began >= this.failedAt) this.failures = 0
  }

  /** Whether to try the part again. Otherwise, it goes in chunks, and so does everything else. */
  failed(failure: StoreFailure, began: number, now: number): boolean {
    if (!this.hasPassed && failure !== 'expired' && !isTemporary(failure)) this.isOpen = false
    if (!this.failures || began >= this.failedAt) {
      this.failures += 1
      this.failedAt = now
    }
    if (this.failures >= TRIES) this.isOpen = false
    return this.isOpen
  }
}

function isTemporary(failure: StoreFailure): boolean {
  return [408, 425, 429].includes(failure as number) || (failure as number) >= 500
}

/** Where to send the bytes of a part. */
export interface PartAddress {
  url: string
  method: string
  headers: Record<string, string>
}

/** Of an answer of the store with a status of 300 or more. */
export function failureOf({ status, text }: Answer): StoreFailure {
  return status === 403 && /expired/i.test(text) ? 'expired' : status
}

/** By the numbers of their parts. Throws `UnexpectedAnswer`. */
export function parseAddresses(answer: Answer): Map<number, PartAddress> {
  const { parts } = parseObject(answer) as { parts?: (PartAddress & { number: number })[] }
  const parse = ({ url, method, headers }: PartAddress): PartAddress => ({
    url: webAddress(url),
    method: String(method),
    headers: Object.fromEntries(Object.entries(headers)),
  })
  try {
    return new Map(parts!.map((part) => [Number(part.number), parse(part)]))
  } catch {
    throw unexpected(answer)
  }
}

function webAddress(text: string): string {
  const { protocol, href } = new URL(text)
  if (!/^https?:$/.test(protocol)) throw new TypeError(text)
  return href
}
