/**
 * Two tabs with the same file: one sends, the others watch and take over when it ends.
 *
 * Rule 1: without locks (plain http, old browsers) everybody sends, which is slower and
 * as right: the server keeps the first of two bytes.
 */

/**
 * What `send` gives, once nobody else holds `name`; or what `watch` finds out while somebody
 * does. `watch` gives null when it sees that it is `isOurTurn()`; `wake` is called then.
 */
export async function takingTurns<T>(
  locks: LockManager | null,
  name: string,
  send: () => Promise<T>,
  watch: (isOurTurn: () => boolean) => Promise<T | null>,
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
    return send() // Where storage is denied to a page, so are locks.
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
    .catch(() => undefined) // It was not our turn yet when the watching ended.
  try {
    return (await watch(() => isOurs)) ?? (await send())
  } finally {
    waiting.abort()
    release()
    await held
  }
}
