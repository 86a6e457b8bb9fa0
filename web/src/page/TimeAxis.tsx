/**
 * The time axis of a report: findings over storyboard, waveform and loudness.
 *
 * Rule 1: it is for the eye and the pointer. What it shows is in its label and in the table of findings,
 * and the player has controls for the keyboard.
 *
 * Rule 2: time runs from left to right in every language, as in the player of every browser.
 */

import { useState } from 'preact/compat'
import type { ReactNode } from 'preact/compat'
import type { Fetched } from './Guarded'
import { t } from './language'
import type { Curve, Report } from './server'
import { Tile } from './Tile'
import { cueAt, curvePath, marks, QUIETEST, soundSpan, strip, ticks } from './timeline'
import type { Storyboard } from './useStoryboard'
import { moment } from './words'

/** Pictures in the strip. */
const PICTURES = 8

interface Props {
  report: Report
  /** In seconds, like every time here. */
  length: number
  /** Where the player is. */
  at: number
  storyboard: Storyboard | null
  /** Null: there is none. */
  waveform: Fetched | null
  onSeek(at: number): void
}

const percent = (part: number) => `${100 * part}%`

export function TimeAxis({ report, length, at, storyboard, waveform, onSeek }: Props) {
  const [hovered, setHovered] = useState<number | null>(null)
  const timeOf = (event: { clientX: number; currentTarget: Element }) => {
    const { left, width } = event.currentTarget.getBoundingClientRect()
    return width > 0 ? Math.min(Math.max((event.clientX - left) / width, 0), 1) * length : 0
  }
  const curve = report.audio?.loudness_curve
  return (
    <figure className="axis" role="img" aria-label={sentence(report, length)}>
      <div
        dir="ltr"
        onPointerMove={(event) => setHovered(timeOf(event))}
        onPointerLeave={() => setHovered(null)}
        onClick={(event) => onSeek(timeOf(event))}
      >
        <Marks {...{ report, length, onSeek }} />
        {storyboard && <Strip storyboard={storyboard} length={length} />}
        {waveform && !waveform.isMissing && (
          <Row kind="wave" name={t.report.captions.waveform!}>
            <Waveform address={waveform.address} span={soundSpan(report, length)} />
          </Row>
        )}
        {curve && (
          <Row kind="loudness" name={t.report.loudnessScale}>
            <Loudness curve={curve} length={length} integrated={report.audio?.loudness?.integrated} />
          </Row>
        )}
        <Scale length={length} />
        <span className="cursor" style={{ left: percent(Math.min(at / length, 1)) }} />
        {hovered !== null && <Hovered at={hovered} length={length} storyboard={storyboard} />}
      </div>
    </figure>
  )
}

/** What there is to see, for those who do not. */
function sentence({ findings, audio }: Report, length: number): string {
  const timed = findings.filter(({ start }) => start !== null).length
  const heard = (audio?.loudness_curve?.values ?? []).filter((value) => value !== null)
  const parts = [t.report.axis(moment(length)), t.report.onAxis(timed)]
  if (heard.length > 0) {
    const write = (value: number) => t.write.number(value, 0)
    parts.push(t.report.loudnessFromTo(write(Math.min(...heard)), write(Math.max(...heard))))
  }
  return parts.join(' ')
}

function Row({ kind, name, children }: { kind: string; name: string; children: ReactNode }) {
  return (
    <div className={`line ${kind}`}>
      <bdi className="name">{name}</bdi>
      <div className="drawing">{children}</div>
    </div>
  )
}

function Marks({ report, length, onSeek }: Pick<Props, 'report' | 'length' | 'onSeek'>) {
  const found = marks(report.findings, length)
  if (found.length === 0) return null
  const lanes = Math.max(...found.map(({ lane }) => lane)) + 1
  return (
    <div className="line marks" style={{ height: `${lanes * 1.6}rem` }}>
      {found.map(({ finding, lane, from, to }, number) => (
        <span
          key={number}
          className={`finding ${finding.severity}`}
          title={finding.message}
          style={{ left: percent(from), width: percent(to - from), top: `${lane * 1.6}rem` }}
          onClick={(event) => {
            event.stopPropagation()
            onSeek(finding.start!)
          }}
        />
      ))}
    </div>
  )
}

function Strip({ storyboard, length }: { storyboard: Storyboard; length: number }) {
  const { cues, width, height } = storyboard
  const chosen = strip(cues, length, PICTURES)
  return (
    <div className="line strip" style={{ aspectRatio: `${PICTURES * width} / ${height}` }}>
      {chosen.map((cue, number) => (
        <Tile key={number} storyboard={storyboard} cue={cue} />
      ))}
    </div>
  )
}

function Waveform({ address, span: [from, to] }: { address: string | null; span: [number, number] }) {
  if (address === null) return null
  return <img src={address} alt="" style={{ left: percent(from), width: percent(to - from) }} />
}

function Loudness(props: { curve: Curve; length: number; integrated: number | null | undefined }) {
  const { curve, length, integrated } = props
  const wide = length / curve.every
  const whole = typeof integrated === 'number' ? -Math.max(integrated, QUIETEST) : null
  return (
    <svg viewBox={`0 0 ${wide} ${-QUIETEST}`} preserveAspectRatio="none">
      {whole !== null && <path className="whole" d={`M0 ${whole}H${wide}`} />}
      <path className="curve" d={curvePath(curve)} />
    </svg>
  )
}

function Scale({ length }: { length: number }) {
  return (
    <div className="scale">
      {ticks(length).map((at) => (
        <span key={at} className={at / length > 0.9 ? 'last' : ''} style={{ left: percent(at / length) }}>
          {moment(at, at % 1 !== 0)}
        </span>
      ))}
    </div>
  )
}

function Hovered({ at, length, storyboard }: { at: number; length: number; storyboard: Storyboard | null }) {
  const cue = storyboard && cueAt(storyboard.cues, at)
  return (
    <>
      <span className="cursor hovered" style={{ left: percent(at / length) }} />
      <div className="hint" style={{ left: `clamp(5.2rem, ${percent(at / length)}, calc(100% - 5.2rem))` }}>
        {cue && <Tile storyboard={storyboard!} cue={cue} />}
        {moment(at)}
      </div>
    </>
  )
}
