/** What an upload needs of the browser besides its file. Tests use an environment of their own. */

import { unknownPath, type NetworkPath } from './chunkSize'
import type { Control } from './control'
import type { DirectWay } from './direct'
import { send, type Transport } from './transport'

export interface Environment {
  send: Transport
  /** Seconds on a steady clock. */
  now(): number
  /** Calls `act` after `seconds`. Returns a function that cancels this. */
  after(seconds: number, act: () => void): () => void
  /** Calls `act` every `seconds`. Returns a function that stops this. */
  every(seconds: number, act: () => void): () => void
  /** A random number from 0 to 1, so that clients do not all retry at once. */
  jitter(): number
  isOnline(): boolean
  /** Calls `act` whenever the network is back. Returns a function that stops this. */
  onOnline(act: () => void): () => void
  /** Null on plain http, where browsers have no locks. */
  locks(): LockManager | null
  /** The uploads that send a whole file, and those that wait for their turn, in their order. */
  turns: Control[]
  /** What is known of the network path to each origin. */
  paths: Map<string, NetworkPath>
  /** Whether the object store of each endpoint can be reached from here. */
  ways: Map<string, DirectWay>
  /** The same, for later pages: it survives a reload, until the tab is closed. */
  kept: {
    get(origin: string): NetworkPath
    set(origin: string, path: NetworkPath): void
  }
  /** Whether a request to this origin ends with its answer: with HTTP/1.1, it ends with its body. */
  isEarly(origin: string): boolean
}

const KEPT = 'wherry-path:'

// Nothing here touches `window` before an upload begins: servers may import this file.
export const browser: Environment = {
  send,
  now: () => performance.now() / 1000,
  after(seconds, act) {
    const timer = setTimeout(act, seconds * 1000)
    return () => clearTimeout(timer)
  },
  every(seconds, act) {
    const timer = setInterval(act, seconds * 1000)
    return () => clearInterval(timer)
  },
  jitter: Math.random,
  // Servers have no `navigator`, or not all of it, and no events.
  isOnline: () => globalThis.navigator?.onLine !== false,
  onOnline(act) {
    globalThis.addEventListener?.('online', act)
    return () => globalThis.removeEventListener?.('online', act)
  },
  locks: () => globalThis.navigator?.locks ?? null,
  turns: [],
  paths: new Map(),
  ways: new Map(),
  kept: {
    get(origin) {
      const path = unknownPath(Date.now() / 1000)
      try {
        const kept = sessionStorage.getItem(KEPT + origin)!
        // JSON has no Infinity: it is null there.
        return { ...path, ...JSON.parse(kept, (_, value: unknown) => value ?? undefined) }
      } catch {
        return path // Some windows, and all workers, have no storage.
      }
    },
    set(origin, path) {
      try {
        sessionStorage.setItem(KEPT + origin, JSON.stringify(path))
      } catch {
        // Then the next page has to find the limit again.
      }
    },
  },
  isEarly: (origin) =>
    performance
      .getEntries()
      .some(
        (entry) =>
          entry.name.startsWith(`${origin}/`) &&
          /^h[23]/.test((entry as PerformanceResourceTiming).nextHopProtocol),
      ),
}
