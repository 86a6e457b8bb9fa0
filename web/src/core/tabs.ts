/**
 * Two tabs with the same file: one sends, the others watch, and one of them takes over when it ends.
 *
 * Rule 1: without locks (plain http, old browsers) every tab sends. This is slower and just as
 * correct: the server keeps the first of two bytes.
 */

/**
 * Calls `send` while holding the lock `name`, and `watch` while another tab holds it.
 *
 * `watch` returns the result of the other tab, or null as soon as `holdsLock()`; then `send` is
 * called. `wake` is called when this tab gets the lock.
 */
export async function sendFromOneTab<T>(
  locks: LockManager | null,
  name: string,
  send: () => Promise<T>,
  watch: (holdsLock: () => boolean) => Promise<T | null>,
  wake: () => void,
): Promise<T> {
  if (!locks) return send()
  let isFirst = false
  try {
    const first = await locks.request(name, { ifAvailable: true }, async (lock) => {
      isFirst = lock !== null
      return lock && { done: await send() }
    })
    if (first) return first.done
  } catch (error) {
    if (isFirst) throw error
    return send() // A page without access to storage has no locks either.
  }

  const waiting = new AbortController()
  let isOurs = false
  let release = (): void => undefined
  const released = new Promise<void>((resolve) => (release = resolve))
  const held = locks
    .request(name, { signal: waiting.signal }, () => {
      isOurs = true
      wake()
      return released
    })
    .catch(() => undefined) // The watching ended before this tab got the lock.
  try {
    return (await watch(() => isOurs)) ?? (await send())
  } finally {
    waiting.abort()
    release()
    await held
  }
}
