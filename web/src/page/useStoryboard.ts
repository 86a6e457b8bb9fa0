/** The small pictures of a video, which lie in one large picture: the sprite. */

import { useEffect, useState } from 'preact/compat'
import { useFetched } from './Guarded'
import { paths } from './server'
import type { Artefact } from './server'
import type { Session } from './session'
import { parseCues } from './timeline'
import type { Cue } from './timeline'
import { useAccess } from './useAccess'

export interface Storyboard {
  /** Of the sprite in memory; null while it is fetched. */
  address: string | null
  /** Empty until they are known. */
  cues: readonly Cue[]
  /** The shape of one picture, known from the beginning, and how many there may be at most. */
  width: number
  height: number
  most: number
}

/** Null if the report has none, or if it cannot be had. */
export function useStoryboard(
  session: Session,
  artefacts: readonly Artefact[],
  assessmentId: string,
): Storyboard | null {
  const { round } = useAccess(session)
  const [cues, setCues] = useState<readonly Cue[] | null>([])
  const sprite = artefacts.find(({ kind }) => kind === 'storyboard')
  const index = artefacts.find(({ kind }) => kind === 'storyboard-index')
  const pathOf = (one: Artefact | undefined) =>
    sprite && index && one ? paths.picture(assessmentId, one.name) : null
  const { address, isMissing } = useFetched(session, pathOf(sprite))
  const where = pathOf(index)
  useEffect(() => {
    if (where === null) return
    const ending = new AbortController()
    session
      .get(where, ending.signal)
      .then(async (answer) => parseCues(await answer.text()))
      .then(
        (found) => setCues(found.length > 0 ? found : null),
        () => !ending.signal.aborted && setCues(null),
      )
    return () => ending.abort()
  }, [session, where, round])
  if (where === null || cues === null || isMissing) return null
  const { width, height } = { width: index!.width || 16, height: index!.height || 9 }
  const across = Math.max(1, Math.round((sprite!.width ?? width) / width))
  const down = Math.max(1, Math.round((sprite!.height ?? height) / height))
  return { address, cues, width, height, most: cues.length || across * down }
}
