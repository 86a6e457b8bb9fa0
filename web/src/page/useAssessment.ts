/** An assessment as it goes on: asked for each second until it is over. */

import { useEffect, useState } from 'react'
import { paths } from './server'
import type { Assessment } from './server'
import { Refusal } from './session'
import type { Session } from './session'
import { useAccess } from './useAccess'

const EVERY = 1000

export interface Watched {
  assessment: Assessment | null
  /** It is not one of Wherry's: the application has its own. */
  isForeign: boolean
  /** Why nothing new is known at the moment. */
  problem: string | null
}

export function useAssessment(session: Session, id: string): Watched {
  const { round } = useAccess(session)
  const [watched, setWatched] = useState<Watched>({
    assessment: null,
    isForeign: false,
    problem: null,
  })
  useEffect(() => {
    const ending = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined
    const look = async () => {
      try {
        const assessment = await session.json<Assessment>(paths.assessment(id), ending.signal)
        setWatched({ assessment, isForeign: false, problem: null })
        if (assessment.state === 'done' || assessment.state === 'failed') return
      } catch (error) {
        if (ending.signal.aborted) return
        const status = error instanceof Refusal ? error.status : null
        if (status === 404) {
          setWatched({ assessment: null, isForeign: true, problem: null })
          return
        }
        if (status === 401) return // a new key is a new round
        const problem = 'The server cannot be reached at the moment. The assessment goes on there.'
        setWatched((before) => ({ ...before, problem }))
      }
      timer = setTimeout(() => void look(), EVERY)
    }
    void look()
    return () => {
      ending.abort()
      clearTimeout(timer)
    }
  }, [session, id, round])
  return watched
}
