/**
 * How much of a file is where.
 *
 * Rule 1: there is one picture of it, the map, and one number, and they agree: what is drawn as safe
 * and on the way is what the number counts.
 */

import type { UploadDetails } from '../core'
import { ChunkMap } from './ChunkMap'
import { t } from './language'
import { chunks, mapSentence, percentOf } from './words'

interface Props {
  name: string
  details: UploadDetails
  /** In a row of a list: without chunks and a legend. */
  isThin?: boolean
}

export function Progress({ name, details, isThin = false }: Props) {
  const percent = percentOf(details)
  const { done, onTheWay, toCome } = chunks(details)
  const map = (
    <ChunkMap
      total={details.bytesTotal}
      safe={details.safe}
      sending={flying(details)}
      chunkSize={isThin ? null : details.chunkSize}
      label={t.map.label(name, percent)}
      percent={percent}
      text={`${t.map.percent(percent)} ${mapSentence(details)}`}
    />
  )
  if (isThin || details.chunksTotal === 0) return map
  return (
    <div>
      {map}
      <ul className="legend" aria-hidden="true">
        <li className="safe">{t.map.safe(done)}</li>
        <li className="sending">{t.map.onTheWay(onTheWay)}</li>
        <li className="to-come">{t.map.toCome(toCome)}</li>
      </ul>
    </div>
  )
}

/** The bytes that were sent and are not yet safe: at the beginnings of the chunks on the way. */
export function flying({ bytesSafe, bytesSent, bytesTotal, sending }: UploadDetails): [number, number][] {
  const sent = Math.max(bytesSent - bytesSafe, 0)
  if (sent === 0) return []
  const ranges: [number, number][] = sending.length > 0 ? [...sending] : [[bytesSafe, bytesTotal]]
  const room = ranges.reduce((sum, [start, end]) => sum + end - start, 0)
  // Nobody knows how the bytes are spread over the chunks: evenly, as far as it shows.
  const share = Math.min(sent / room, 1)
  return ranges.map(([start, end]) => [start, start + (end - start) * share])
}
