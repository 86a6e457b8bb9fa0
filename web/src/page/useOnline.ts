import { useSyncExternalStore } from 'preact/compat'

/** Whether the browser has a network. */
export function useOnline(): boolean {
  return useSyncExternalStore(subscribe, () => navigator.onLine !== false)
}

function subscribe(listener: () => void): () => void {
  const listening = new AbortController()
  for (const name of ['online', 'offline']) {
    window.addEventListener(name, listener, { signal: listening.signal })
  }
  return () => listening.abort()
}
