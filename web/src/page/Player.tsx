/**
 * The file of a report, to look at or to listen to.
 *
 * Rule 1: where the browser cannot play it, pictures of the storyboard stand for it, so that a place in
 * time can be looked at all the same.
 */

import { useEffect, useState } from 'preact/compat'
import type { MutableRefObject } from 'preact/compat'
import { isMoving } from './describe'
import type { Fetched } from './Guarded'
import { t } from './language'
import { usePlayable } from './playing'
import type { Report } from './server'
import type { Session } from './session'
import { Tile } from './Tile'
import { cueAt } from './timeline'
import type { Storyboard } from './useStoryboard'
import { moment } from './words'

interface Props {
  session: Session
  uploadId: string
  report: Report
  media: MutableRefObject<HTMLMediaElement | null>
  at: number
  /** Null: there is none. */
  poster: Fetched | null
  storyboard: Storyboard | null
  hasFile: boolean
  onTime(at: number): void
}

export function Player(props: Props) {
  const { session, uploadId, report, media, poster, hasFile, onTime } = props
  const address = usePlayable(session, hasFile ? uploadId : null)
  const [isBroken, setBroken] = useState(false)
  useEffect(() => setBroken(false), [address])
  const streams = report.probe?.streams ?? []
  const picture = streams.find(isMoving)
  const sound = streams.find(({ type }) => type === 'audio')
  if (!picture && !sound) return <Still {...props} isForPaper={false} />
  const isPlayed = hasFile && address !== false && !isBroken
  const what = {
    ref: (element: HTMLMediaElement | null) => {
      media.current = element
    },
    src: address || undefined,
    controls: true,
    preload: 'metadata' as const,
    'aria-label': t.report.player,
    onTimeUpdate: (event: { currentTarget: HTMLMediaElement }) => onTime(event.currentTarget.currentTime),
    onError: () => setBroken(true),
  }
  return (
    <div className="player">
      {isPlayed && picture && (
        <video {...what} poster={poster?.address ?? undefined} playsInline style={{ aspectRatio: shapeOf(picture) }} />
      )}
      {isPlayed && !picture && <audio {...what} />}
      <Still {...props} isForPaper={isPlayed} />
      {hasFile && !isPlayed && (
        <p className="quiet">{isBroken ? t.report.cannotPlay : t.report.cannotPlayHere}</p>
      )}
    </div>
  )
}

function shapeOf(stream: { display_width?: number | null; display_height?: number | null } & Sides): string {
  return `${stream.display_width || stream.width || 16} / ${stream.display_height || stream.height || 9}`
}

interface Sides {
  width?: number | null
  height?: number | null
}

/** The poster, or what is to be seen where the reader has gone to. */
function Still({ report, at, poster, storyboard, isForPaper }: Props & { isForPaper: boolean }) {
  const place = isForPaper ? 0 : at
  const cue = storyboard && (place > 0 || !poster || poster.isMissing) ? cueAt(storyboard.cues, place) : null
  const hasPoster = poster !== null && poster.address !== null
  if (cue === null && !hasPoster) return null
  const time = report.artefacts.find(({ kind }) => kind === 'poster')?.time
  const shown = cue ? cue.start : time
  const caption = t.report.captions.poster!
  return (
    <figure className={`poster${isForPaper ? ' on-paper' : ''}`}>
      {cue ? <Tile storyboard={storyboard!} cue={cue} /> : <img src={poster!.address!} alt={t.report.pictures.poster} />}
      <figcaption>{typeof shown === 'number' ? t.report.captionAt(caption, moment(shown)) : caption}</figcaption>
    </figure>
  )
}
