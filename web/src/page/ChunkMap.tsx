/**
 * The file as a strip: which bytes are safe, which are on the way, which are to come.
 *
 * Rule 1: drawn from byte ranges, so it stays true when chunks are cut anew.
 */

import { useId } from 'preact/compat'
import type { Range } from '../core'

/** More lines than this are a grey smear. */
const MOST_LINES = 80

interface Props {
  total: number
  safe: readonly Range[]
  sending?: readonly Range[]
  /** In bytes, for the lines between chunks; null for none. */
  chunkSize: number | null
  /** What the picture shows, in words. */
  label: string
  /** Of a file on its way: then it is a progress bar, and `text` is what it says. */
  percent?: number
  text?: string
}

export function ChunkMap({ total, safe, sending = [], chunkSize, label, percent, text }: Props) {
  const hatch = useId()
  const share = (bytes: number) => `${total > 0 ? (100 * bytes) / total : 0}%`
  const bars = (ranges: readonly Range[], fill: string, kind: string) =>
    ranges.map(([start, end]) => (
      <rect
        key={`${kind}${start}`}
        className={kind}
        x={share(start)}
        width={share(end - start)}
        height="100%"
        fill={fill}
      />
    ))
  const progress = { role: 'progressbar', 'aria-valuenow': percent, 'aria-valuetext': text } as const
  const role = percent === undefined ? ({ role: 'img' } as const) : progress
  return (
    <svg className="map" {...role} aria-label={label}>
      <defs>
        <pattern id={hatch} width="6" height="6" patternUnits="userSpaceOnUse">
          <path className="hatch" d="M-1 1 L1 -1 M0 6 L6 0 M5 7 L7 5" />
        </pattern>
      </defs>
      <rect className="to-come" width="100%" height="100%" />
      {bars(safe, 'var(--safe)', 'safe')}
      {bars(sending, `url(#${hatch})`, 'sending')}
      {linesOf(total, chunkSize).map((at) => (
        <line key={at} x1={share(at)} x2={share(at)} y1="0" y2="100%" />
      ))}
    </svg>
  )
}

/** Where chunks meet; of many chunks, every second or third meeting or fewer. */
function linesOf(total: number, chunkSize: number | null): number[] {
  if (chunkSize === null || chunkSize <= 0) return []
  const count = Math.ceil(total / chunkSize)
  const step = chunkSize * Math.ceil(count / MOST_LINES)
  return Array.from({ length: Math.ceil(total / step) - 1 }, (_, index) => step * (index + 1))
}
