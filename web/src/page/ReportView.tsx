/**
 * The report of an assessment: verdict, player, time axis, findings, facts, pictures.
 *
 * Rule 1: whatever has a place in time, in every part of the report, is one button or one click away
 * from the same place in the player.
 */

import { useCallback, useRef, useState } from 'preact/compat'
import type { MutableRefObject } from 'preact/compat'
import { ContactSheet } from './ContactSheet'
import { describe } from './describe'
import { FindingsTable } from './FindingsTable'
import { Picture, save, useFetched } from './Guarded'
import { t } from './language'
import { Player } from './Player'
import { printOnly } from './printing'
import { paths } from './server'
import type { Artefact, Report } from './server'
import type { Session } from './session'
import { TimeAxis } from './TimeAxis'
import { lengthOf } from './timeline'
import { useStoryboard } from './useStoryboard'
import { moment } from './words'

const MARKS = { pass: '✓', warn: '!', fail: '✕', 'not-assessed': '–' } as const
/** They have places of their own. */
const PLACED = ['poster', 'waveform', 'storyboard']

interface Props {
  session: Session
  uploadId: string
  assessmentId: string
  filename: string
  report: Report
  /** Whether the file is to be played here. */
  hasFile: boolean
}

export function ReportView(props: Props) {
  const { session, uploadId, assessmentId, filename, report, hasFile } = props
  const whole = useRef<HTMLElement>(null)
  const media = useRef<HTMLMediaElement>(null)
  const [at, setAt] = useState(0)
  const [said, setSaid] = useState('')
  const seek = useCallback((to: number) => seekIn(media, to, setAt, setSaid), [])
  const pictureOf = (kind: string) => report.artefacts.find((one) => one.kind === kind)
  const pathOf = (one: Artefact | undefined) => (one ? paths.picture(assessmentId, one.name) : null)
  const storyboard = useStoryboard(session, report.artefacts, assessmentId)
  const poster = useFetched(session, pathOf(pictureOf('poster')))
  const waveform = useFetched(session, pathOf(pictureOf('waveform')))
  const length = lengthOf(report)
  const others = report.artefacts.filter(
    ({ kind, content_type: type }) =>
      type.startsWith('image/') &&
      !PLACED.includes(kind) &&
      !(kind === 'contact-sheet' && storyboard !== null),
  )
  return (
    <section ref={whole} className="report" aria-label={t.report.label}>
      <h2 className="on-paper">
        <bdi>{filename}</bdi>
      </h2>
      <Verdict report={report} />
      <Player
        {...{ session, uploadId, report, media, at, storyboard, hasFile }}
        poster={pictureOf('poster') ? poster : null}
        onTime={setAt}
      />
      <p className="unseen" role="status">
        {said}
      </p>
      {length > 0 && (
        <TimeAxis
          {...{ report, length, at, storyboard }}
          waveform={pictureOf('waveform') ? waveform : null}
          onSeek={seek}
        />
      )}
      {report.findings.length > 0 && <FindingsTable findings={report.findings} onSeek={seek} />}
      <Facts report={report} />
      {storyboard && <ContactSheet storyboard={storyboard} onSeek={seek} />}
      {others.map((picture) => (
        <Drawn key={picture.name} {...{ session, assessmentId, picture }} />
      ))}
      <div className="buttons">
        <button type="button" onClick={() => printOnly(whole.current!)}>
          {t.report.print}
        </button>
        <button type="button" onClick={() => saveReport(report, filename)}>
          {t.report.json}
        </button>
      </div>
    </section>
  )
}

function seekIn(
  media: MutableRefObject<HTMLMediaElement | null>,
  to: number,
  show: (at: number) => void,
  say: (sentence: string) => void,
): void {
  show(to)
  say(t.report.nowAt(moment(to)))
  if (media.current === null) return
  media.current.currentTime = to
  media.current.scrollIntoView({ block: 'nearest' })
}

function saveReport(report: Report, filename: string): void {
  const text = JSON.stringify(report, null, 2)
  save(new Blob([text], { type: 'application/json' }), `${filename}.report.json`)
}

function Verdict({ report }: { report: Report }) {
  const [word, sentence] = t.report.verdicts[report.verdict]!
  return (
    <p className={`verdict ${report.verdict}`}>
      <span className="mark" aria-hidden="true">
        {MARKS[report.verdict]}
      </span>
      <strong>{word}</strong>
      <span>
        {sentence} {t.report.policy(report.policy)}
      </span>
    </p>
  )
}

function Facts({ report }: { report: Report }) {
  const facts = describe(report)
  if (facts.length === 0) return null
  return (
    <dl className="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  )
}

function Drawn(props: { session: Session; assessmentId: string; picture: Artefact }) {
  const { session, assessmentId, picture } = props
  const { name, kind, width, height } = picture
  const plain = kind.replaceAll('_', '-')
  return (
    <figure className={plain}>
      <Picture
        session={session}
        path={paths.picture(assessmentId, name)}
        alt={t.report.pictures[plain] ?? kind}
        width={width ?? null}
        height={height ?? null}
      />
      <figcaption>{captionOf(plain, picture)}</figcaption>
    </figure>
  )
}

function captionOf(plain: string, { kind, time }: Artefact): string {
  const caption = t.report.captions[plain] ?? kind
  return typeof time === 'number' ? t.report.captionAt(caption, moment(time)) : caption
}
