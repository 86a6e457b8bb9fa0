/** Which of the uploads that this tab did not begin are being sent at this moment. */

import { useEffect, useRef, useState } from 'react'
import type { KnownUpload } from './server'

/** So often it is looked, in milliseconds. */
const EVERY = 3000

/** Who has sent nothing for so many milliseconds sends no more. */
const QUIET = 60_000

/**
 * The identifiers of those that another tab of this browser holds the lock of, and of those that
 * have grown lately: another browser or program sends them. `uploads` as the server lists them.
 */
export function useElsewhere(
  api: string,
  uploads: readonly KnownUpload[],
  others: readonly KnownUpload[],
  refresh: () => void,
): ReadonlySet<string> {
  const [held, setHeld] = useState<ReadonlySet<string>>(new Set())
  const [grown, setGrown] = useState<ReadonlySet<string>>(new Set())
  const before = useRef<ReadonlyMap<string, { bytes: number; grewAt: number }>>(new Map())

  useEffect(() => {
    const at = performance.now()
    const now = new Map(
      uploads.map(({ upload_id: id, received_bytes: bytes }) => {
        const known = before.current.get(id)
        const grewAt = known && bytes > known.bytes ? at : (known?.grewAt ?? -Infinity)
        return [id, { bytes, grewAt }] as const
      }),
    )
    before.current = now
    setGrown(new Set([...now].filter(([, { grewAt }]) => at - grewAt < QUIET).map(([id]) => id)))
  }, [uploads])

  const isAny = others.length > 0
  useEffect(() => {
    if (!isAny) return
    let isOver = false
    const look = async () => {
      const names = await locksHeld()
      if (!isOver) setHeld(names)
    }
    void look()
    const timer = setInterval(() => {
      if (document.visibilityState === 'hidden') return
      refresh()
      void look()
    }, EVERY)
    return () => {
      isOver = true
      clearInterval(timer)
    }
  }, [isAny, refresh])

  const isElsewhere = ({ upload_id: id, fingerprint }: KnownUpload) =>
    grown.has(id) || held.has(`wherry ${api} ${fingerprint}`)
  return new Set(others.filter(isElsewhere).map((upload) => upload.upload_id))
}

/** None on plain http, and where a page may have no locks. */
async function locksHeld(): Promise<ReadonlySet<string>> {
  try {
    const { held = [] } = await navigator.locks.query()
    return new Set(held.map(({ name }) => name ?? ''))
  } catch {
    return new Set()
  }
}
