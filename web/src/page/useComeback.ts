/** The uploads of earlier pages, which come back by themselves or with a click. */

import { useEffect, useRef, useState, useSyncExternalStore } from 'preact/compat'
import { Comeback } from './comeback'
import { Keeping } from './keeping'
import type { KnownUpload } from './server'
import type { Session } from './session'
import type { Uploads } from './uploads'
import { useAccess } from './useAccess'
import { isLocked, locksHeld } from './useElsewhere'
import type { Known } from './useKnownUploads'

interface Options {
  session: Session
  uploads: Uploads
  known: Known
  /** The ids of uploads that another tab or program is sending. */
  elsewhere: ReadonlySet<string>
  tell(sentence: string): void
}

interface ComingBack {
  /** The ids of uploads that go on with a click, because this browser has their files. */
  offered: ReadonlyMap<string, unknown>
  /** Whether it goes on now. */
  goOn(upload: KnownUpload): Promise<boolean>
  /** Remove all that this browser has kept. */
  forget(): void
}

export function useComeback({ session, uploads, known, elsewhere, tell }: Options): ComingBack {
  const { round } = useAccess(session)
  const [keeping] = useState(() => new Keeping(session))
  const [comeback] = useState(() => new Comeback(uploads, keeping, tell))
  const offered = useSyncExternalStore(comeback.subscribe, comeback.now)
  const latest = useRef(elsewhere)
  latest.current = elsewhere

  useEffect(() => keeping.follow(uploads), [keeping, uploads])
  useEffect(() => {
    if (known.round !== round) return // It is the list of another key, or there is none yet.
    void locksHeld().then((held) =>
      comeback.look({
        uploads: known.uploads,
        isElsewhere: (upload) =>
          latest.current.has(upload.upload_id) || isLocked(held, session.place.api, upload),
      }),
    )
  }, [known.uploads])

  const nowhereElse = () => false
  return {
    offered,
    goOn: (upload) =>
      comeback.goOn(upload, { uploads: known.uploads, isElsewhere: nowhereElse }),
    forget: () => keeping.forget(),
  }
}
