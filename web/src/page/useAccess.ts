import { useSyncExternalStore } from 'preact/compat'
import type { Access, Session } from './session'

/** The key and whether one is wanted, as it changes. */
export function useAccess(session: Session): Access {
  return useSyncExternalStore(session.subscribe, session.now)
}
