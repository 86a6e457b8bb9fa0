/** What an upload needs of the browser besides its file; tests put another world in its place. */

import { type Way } from './plan'
import { send, type Transport } from './transport'

export interface World {
  send: Transport
  /** Seconds on a steady clock. */
  now(): number
  /** Calls `act` after `seconds`; what it returns ends that. */
  after(seconds: number, act: () => void): () => void
  /** Calls `act` again and again; what it returns ends that. */
  every(seconds: number, act: () => void): () => void
  /** From 0 to 1, to keep tabs and users from coming back all at once. */
  jitter(): number
  isOnline(): boolean
  /** Calls `act` whenever the network is back; what it returns ends that. */
  onOnline(act: () => void): () => void
  /** Null on plain http, where there are none. */
  locks(): LockManager | null
  /** What is known of the way to each endpoint. */
  ways: Map<string, Way>
  /** The limits met on these ways (bytes), kept through reloads until the tab is closed. */
  limits: { get(endpoint: string): number | null; set(endpoint: string, limit: number): void }
}

const KEPT = 'wherry-limit:'

// Nothing here touches `window` before an upload begins: servers may import this file.
export const browser: World = {
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
  isOnline: () => typeof navigator === 'undefined' || navigator.onLine !== false,
  onOnline(act) {
    if (typeof addEventListener === 'undefined') return () => undefined
    addEventListener('online', act)
    return () => removeEventListener('online', act)
  },
  locks: () => (typeof navigator === 'undefined' ? null : (navigator.locks ?? null)),
  ways: new Map(),
  limits: {
    get(endpoint) {
      try {
        return Number(sessionStorage.getItem(KEPT + endpoint)) || null
      } catch {
        return null // Not in every window, nor outside of one.
      }
    },
    set(endpoint, limit) {
      try {
        sessionStorage.setItem(KEPT + endpoint, String(limit))
      } catch {
        // Then the next page finds it out again.
      }
    },
  },
}
