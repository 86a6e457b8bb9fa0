/** Which of the uploads that this tab did not begin are being sent at this moment. */

import { useEffect, useRef, useState } from 'preact/compat'
import type { KnownUpload } from './server'

/** How often the server is asked, in milliseconds. */
const POLL_INTERVAL = 3000

/** An upload that has not grown for this many milliseconds is not being sent. */
const QUIET = 60_000

/**
 * The ids of uploads whose lock another tab of this browser holds, and of uploads that have grown
 * lately: another browser or program sends those. `uploads`: the server's list.
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
    }, POLL_INTERVAL)
    return () => {
      isOver = true
      clearInterval(timer)
    }
  }, [isAny, refresh])

  const isElsewhere = (upload: KnownUpload) =>
    grown.has(upload.upload_id) || isLocked(held, api, upload)
  return new Set(others.filter(isElsewhere).map((upload) => upload.upload_id))
}

/** Whether a tab of this browser sends it: clients hold a lock of this name. */
export function isLocked(
  held: ReadonlySet<string>,
  api: string,
  { fingerprint }: KnownUpload,
): boolean {
  return held.has(`wherry ${api} ${fingerprint}`)
}

/** Empty on plain http, and if the page may not use locks. */
export async function locksHeld(): Promise<ReadonlySet<string>> {
  try {
    const { held = [] } = await navigator.locks.query()
    return new Set(held.map(({ name }) => name ?? ''))
  } catch {
    return new Set()
  }
}
