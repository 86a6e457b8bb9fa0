/**
 * Pictures and files that need the key: a browser sends no header for an address.
 *
 * Rule 1: with a key, a file is fetched and saved from memory; without one the browser
 * does it by itself, of whatever size it is.
 */

import { useEffect, useState } from 'preact/compat'
import type { ReactNode } from 'preact/compat'
import { t } from './language'
import type { Session } from './session'
import { useAccess } from './useAccess'

interface PictureProps {
  session: Session
  path: string
  alt: string
  width: number | null
  height: number | null
}

export function Picture({ session, path, alt, width, height }: PictureProps) {
  const { address, isMissing } = useFetched(session, path)
  if (isMissing) return <p className="quiet">{t.report.notAvailable(alt)}</p>
  const sides = width !== null && height !== null ? { width, height } : {}
  return address === null ? (
    <div className="picture-to-come" />
  ) : (
    <img src={address} alt={alt} {...sides} />
  )
}

export interface Fetched {
  /** Of the bytes in memory; null while they are fetched. */
  address: string | null
  isMissing: boolean
}

/** A file that is held in memory while it is shown. `path` is null for none. */
export function useFetched(session: Session, path: string | null): Fetched {
  const { round } = useAccess(session)
  const [fetched, setFetched] = useState<Fetched>({ address: null, isMissing: false })
  useEffect(() => {
    if (path === null) return
    const ending = new AbortController()
    let made: string | null = null
    session.get(path, ending.signal).then(
      async (answer) => {
        const blob = await answer.blob()
        if (ending.signal.aborted) return
        made = URL.createObjectURL(blob)
        setFetched({ address: made, isMissing: false })
      },
      () => {
        if (!ending.signal.aborted) setFetched({ address: null, isMissing: true })
      },
    )
    return () => {
      ending.abort()
      if (made !== null) URL.revokeObjectURL(made)
    }
  }, [session, path, round])
  return fetched
}

interface LinkProps {
  session: Session
  path: string
  /** The name that the file is saved under; without one it is opened. */
  saveAs?: string
  children: ReactNode
}

export function GuardedLink({ session, path, saveAs, children }: LinkProps) {
  const { key } = useAccess(session)
  const [state, setState] = useState<'' | 'fetching' | 'failed'>('')
  const fetchIt = async () => {
    setState('fetching')
    try {
      const blob = await (await session.get(path)).blob()
      save(blob, saveAs)
      setState('')
    } catch {
      setState('failed')
    }
  }
  return (
    <>
      <a
        href={`${session.place.api}${path}`}
        download={saveAs}
        target={saveAs === undefined ? '_blank' : undefined}
        onClick={(event) => {
          if (key === null) return
          event.preventDefault()
          if (state !== 'fetching') void fetchIt()
        }}
      >
        {children}
      </a>
      <span role="status">
        {state === 'fetching' && ` ${t.report.downloading}`}
        {state === 'failed' && ` ${t.report.notDownloaded}`}
      </span>
    </>
  )
}

/** Save it under this name; without one, open it in another tab. */
export function save(blob: Blob, saveAs: string | undefined): void {
  const address = URL.createObjectURL(blob)
  const link = document.createElement('a')
  link.href = address
  if (saveAs === undefined) link.target = '_blank'
  else link.download = saveAs
  link.click()
  setTimeout(() => URL.revokeObjectURL(address), 60_000)
}
