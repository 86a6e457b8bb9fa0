/** The caller's uploads as the server lists them. */

import { useCallback, useEffect, useRef, useState } from 'react'
import { paths } from './server'
import type { KnownUpload } from './server'
import { Refusal } from './session'
import type { Session } from './session'
import { useAccess } from './useAccess'

export interface Known {
  uploads: KnownUpload[]
  /** Why they are not known; null while all is well. */
  problem: { what: string; next: string } | null
  refresh(): void
}

/** Asked for at the start, with a new key, and when the page is looked at again. */
export function useKnownUploads(session: Session): Known {
  const { round } = useAccess(session)
  const [uploads, setUploads] = useState<KnownUpload[]>([])
  const [problem, setProblem] = useState<Known['problem']>(null)
  const asking = useRef<AbortController | null>(null)

  const refresh = useCallback(() => {
    asking.current?.abort()
    const ending = new AbortController()
    asking.current = ending
    session.json<{ uploads: KnownUpload[] }>(paths.uploads, ending.signal).then(
      (answer) => {
        if (ending.signal.aborted) return
        setUploads(answer.uploads)
        setProblem(null)
      },
      (error: unknown) => {
        if (ending.signal.aborted) return
        if (!(error instanceof Refusal)) {
          setProblem({
            what: 'The server cannot be reached.',
            next: 'Check your connection; this page looks again when you come back to it.',
          })
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

  return { uploads, problem, refresh }
}
