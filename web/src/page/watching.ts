/**
 * What the operator's view shows: asked for every few seconds, while somebody can see it.
 *
 * Rule 1: nothing is asked for while the tab is hidden.
 *
 * Rule 2: the speed is what the bytes that are safe have grown by. So it is that of all processes of
 * the server together.
 */

import { useEffect, useState } from 'preact/compat'
import { paths } from './server'
import type { OperatorsUpload, Overview } from './server'
import { Refusal } from './session'
import type { Session } from './session'
import { useAccess } from './useAccess'

/** Milliseconds between two looks. */
export const EVERY = 3000
/** The speed is that of so many milliseconds. */
const WINDOW = 15_000

/** What there was at a moment, in milliseconds of a steady clock. */
export interface Look {
  at: number
  overview: Overview
  /** Unfinished ones, the newest first. */
  uploads: OperatorsUpload[]
  /** The newest that ended without a file. */
  ended: OperatorsUpload[]
}

export interface Watched {
  look: Look | null
  speeds: Speeds
  /** Why there is nothing newer; null while all is well. */
  problem: 'not an operator' | { said: string } | null
  /** Ask now. */
  refresh(): void
}

interface Page {
  uploads: OperatorsUpload[]
}

async function ask(session: Session, signal: AbortSignal): Promise<Look> {
  // The overview first: whoever is no operator is refused once.
  const overview = await session.json<Overview>(paths.overview, signal)
  const [unfinished, ended] = await Promise.all([
    session.json<Page>(paths.everybodysUnfinished, signal),
    session.json<Page>(paths.everybodysEnded, signal),
  ])
  return { at: performance.now(), overview, uploads: unfinished.uploads, ended: ended.uploads }
}

/** `unreachable`: the sentence for a server that does not answer. */
export function useWatching(session: Session, unreachable: string): Watched {
  const { round } = useAccess(session)
  const [speeds] = useState(() => new Speeds())
  const [look, setLook] = useState<Look | null>(null)
  const [problem, setProblem] = useState<Watched['problem']>(null)
  const [asked, setAsked] = useState(0)
  useEffect(() => {
    const ending = new AbortController()
    const { signal } = ending
    let timer: ReturnType<typeof setTimeout> | undefined
    let isAsking = false
    const again = async () => {
      clearTimeout(timer)
      if (document.hidden || isAsking) return
      isAsking = true
      let isOver = false
      try {
        const found = await ask(session, signal)
        if (signal.aborted) return
        speeds.add(found)
        setLook(found)
        setProblem(null)
      } catch (error) {
        if (signal.aborted) return
        isOver = error instanceof Refusal && (error.status === 401 || error.code === 'not-found')
        if (isOver) setLook(null) // it is not for whoever is here now
        setProblem(problemOf(error, unreachable))
      } finally {
        isAsking = false
      }
      if (!isOver) timer = setTimeout(() => void again(), EVERY)
    }
    const turn = () => void again()
    turn()
    document.addEventListener('visibilitychange', turn)
    return () => {
      document.removeEventListener('visibilitychange', turn)
      clearTimeout(timer)
      ending.abort()
    }
  }, [session, round, asked])
  return { look, speeds, problem, refresh: () => setAsked((n) => n + 1) }
}

function problemOf(error: unknown, unreachable: string): Watched['problem'] {
  if (!(error instanceof Refusal)) return { said: unreachable }
  if (error.code === 'not-found') return 'not an operator'
  return error.status === 401 ? null : { said: `${error.message} ${error.hint}`.trim() }
}

/** How fast bytes arrive, by the looks of the last seconds. In bytes a second. */
export class Speeds {
  private looks: Look[] = []

  add(look: Look): void {
    this.looks = [...this.looks.filter(({ at }) => at >= look.at - WINDOW), look]
  }

  /**
   * Null if it is not known, as nothing was looked at before. What was deleted hides what has arrived
   * meanwhile, so such a moment does not count.
   */
  ofAll(): number | null {
    let grown = 0
    let time = 0
    this.looks.slice(1).forEach((now, index) => {
      const before = this.looks[index]!
      const bytes = now.overview.storage.used - before.overview.storage.used
      if (bytes < 0) return
      grown += bytes
      time += now.at - before.at
    })
    return time > 0 ? (1000 * grown) / time : null
  }

  /** Null if it is not known, as the upload was not there before. */
  of(id: string): number | null {
    const known = this.looks.flatMap(({ at, uploads }) => {
      const found = uploads.find(({ upload_id }) => upload_id === id)
      return found ? [{ at, safe: found.received_bytes }] : []
    })
    const [first, last] = [known[0], known.at(-1)]
    if (first === undefined || last === undefined || first === last) return null
    return (1000 * Math.max(last.safe - first.safe, 0)) / (last.at - first.at)
  }
}
