/**
 * Where a player finds a file: at its address, and with a key through a service worker that adds it.
 */

import { useEffect, useState } from 'preact/compat'
import address from './mediaWorker?worker&url'
import { paths } from './server'
import type { Session } from './session'
import { useAccess } from './useAccess'

/** How long the worker may take to start, in milliseconds. */
const PATIENCE = 10_000

/**
 * The address of the file for a player; null while it is not known, or if no file is wanted; false
 * where there is no way.
 */
export function usePlayable(session: Session, uploadId: string | null): string | null | false {
  const { key, round } = useAccess(session)
  const [found, setFound] = useState<string | null | false>(null)
  useEffect(() => {
    if (uploadId === null) return
    let isOver = false
    const file = `${session.place.api}${paths.file(uploadId)}`
    const show = (isThere: boolean) => !isOver && setFound(isThere ? file : false)
    if (key === null) show(true)
    else {
      setFound(null)
      guarded(session).then(show, () => show(false))
    }
    return () => {
      isOver = true
    }
  }, [session, uploadId, key, round])
  return found
}

let answering: Session | null = null

/** Whether a worker adds the key of this session to the requests of players. */
async function guarded(session: Session): Promise<boolean> {
  const workers = navigator.serviceWorker as ServiceWorkerContainer | undefined
  if (workers === undefined) return false // Only https has them, and this machine.
  if (answering === null) {
    workers.addEventListener('message', ({ data, ports }) => {
      if (data === 'wherry-headers') ports[0]?.postMessage(answering!.headers())
    })
  }
  answering = session
  await workers.register(address, { scope: './' })
  const { active } = await workers.ready
  const isControlled = controlled(workers)
  active?.postMessage('claim')
  return isControlled
}

function controlled(workers: ServiceWorkerContainer): Promise<boolean> {
  if (workers.controller !== null) return Promise.resolve(true)
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), PATIENCE)
    workers.addEventListener(
      'controllerchange',
      () => {
        clearTimeout(timer)
        resolve(true)
      },
      { once: true },
    )
  })
}
