/**
 * The caller's uploads as the server lists them: all that are unfinished, and the newest finished.
 *
 * Rule 1: what is asked for does not grow with all that was ever uploaded.
 *
 * Rule 2: a guest has no list.
 */

import { useCallback, useEffect, useRef, useState } from 'preact/compat'
import { t } from './language'
import { paths } from './server'
import type { KnownUpload } from './server'
import { Refusal } from './session'
import type { Session } from './session'
import { useAccess } from './useAccess'

export interface Known {
  uploads: KnownUpload[]
  /** The round of the session in which they were asked for; null: they are not known yet. */
  round: number | null
  /** Why they are not known; null while all is well. */
  problem: { what: string; next: string } | null
  refresh(): void
}

/** Asked for at the start, with a new key, and when the page is looked at again. */
export function useKnownUploads(session: Session): Known {
  const { round } = useAccess(session)
  const [list, setList] = useState<Pick<Known, 'uploads' | 'round'>>({ uploads: [], round: null })
  const [problem, setProblem] = useState<Known['problem']>(null)
  const asking = useRef<AbortController | null>(null)

  const refresh = useCallback(() => {
    asking.current?.abort()
    if (session.isGuest) return
    const ending = new AbortController()
    asking.current = ending
    const asked = session.now().round
    known(session, ending.signal).then(
      (found) => {
        if (ending.signal.aborted) return
        setList({ uploads: found, round: asked })
        setProblem(null)
      },
      (error: unknown) => {
        if (ending.signal.aborted) return
        if (!(error instanceof Refusal)) {
          setProblem({ what: t.app.unreachable, next: t.app.unreachableNext })
        } else if (error.status !== 401) {
          setProblem({ what: error.message, next: error.hint })
        }
      },
    )
  }, [session])

  useEffect(() => {
    refresh()
    window.addEventListener('focus', refresh)
    window.addEventListener('online', refresh)
    return () => {
      window.removeEventListener('focus', refresh)
      window.removeEventListener('online', refresh)
      asking.current?.abort()
    }
  }, [refresh, round])

  return { ...list, problem, refresh }
}

interface Listed {
  uploads: KnownUpload[]
  /** What `after` must be for the next page; null on the last one. */
  next?: string | null
}

/** Oldest first. What is finished between the two questions is in both answers, and here once. */
async function known(session: Session, signal: AbortSignal): Promise<KnownUpload[]> {
  const unfinished = await everyPage(session, paths.unfinished, signal)
  const finished = await session.json<Listed>(paths.newestFinished, signal)
  const found = new Map(unfinished.map((upload) => [upload.upload_id, upload]))
  for (const upload of finished.uploads.reverse()) found.set(upload.upload_id, upload)
  return [...found.values()]
}

async function everyPage(
  session: Session,
  path: string,
  signal: AbortSignal,
): Promise<KnownUpload[]> {
  const found: KnownUpload[] = []
  for (let after = ''; ; ) {
    const page = await session.json<Listed>(path + after, signal)
    found.push(...page.uploads)
    if (page.next == null) return found
    after = `&after=${encodeURIComponent(page.next)}`
  }
}
