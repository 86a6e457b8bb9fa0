/**
 * Polls an assessment each second until it is over.
 *
 * Rule 1: all assessments of a page together are asked for at most ten times a second.
 */

import { useEffect, useState } from 'preact/compat'
import { t } from './language'
import { paths } from './server'
import type { Assessment } from './server'
import { Refusal } from './session'
import type { Session } from './session'
import { useAccess } from './useAccess'

/** In milliseconds. */
const POLL_INTERVAL = 1000
const EACH = 100

/** How many assessments are polled. */
let polled = 0

export interface Watched {
  assessment: Assessment | null
  /** The application has an assessment of its own. */
  isForeign: boolean
  /** Why the current state is not known. */
  problem: string | null
  /** The code of the refusal, for a link that shows a report no more; null for all others. */
  ended: string | null
}

export function useAssessment(session: Session, id: string): Watched {
  const { round } = useAccess(session)
  const [watched, setWatched] = useState<Watched>({
    assessment: null,
    isForeign: false,
    problem: null,
    ended: null,
  })
  useEffect(() => {
    const ending = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined
    const look = async () => {
      try {
        const assessment = await session.json<Assessment>(paths.assessment(id), ending.signal)
        setWatched({ assessment, isForeign: false, problem: null, ended: null })
        if (assessment.state === 'done' || assessment.state === 'failed') return
      } catch (error) {
        if (ending.signal.aborted) return
        const { status, code } = error instanceof Refusal ? error : { status: null, code: '' }
        if (status === 404) {
          setWatched({ assessment: null, isForeign: true, problem: null, ended: null })
          return
        }
        // Nobody has another ticket for the same link; a new key is a new round.
        const isOver = session.isGuest && (status === 401 || status === 403)
        if (isOver) setWatched({ assessment: null, isForeign: false, problem: null, ended: code })
        if (isOver || status === 401) return
        setWatched((before) => ({ ...before, problem: t.assessment.unreachable }))
      }
      timer = setTimeout(() => void look(), Math.max(POLL_INTERVAL, polled * EACH))
    }
    polled += 1
    void look()
    return () => {
      polled -= 1
      ending.abort()
      clearTimeout(timer)
    }
  }, [session, id, round])
  return watched
}
