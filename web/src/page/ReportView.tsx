/** The report of an assessment: verdict, facts, findings, pictures. */

import { Picture } from './Guarded'
import { paths } from './server'
import type { Artefact, Finding, Probe, Report } from './server'
import type { Session } from './session'
import { moment, plural } from './words'

export const VERDICTS = {
  pass: { mark: '✓', word: 'Pass', sentence: 'No problems were found.' },
  warn: { mark: '!', word: 'Needs review', sentence: 'Please check the findings.' },
  fail: { mark: '✕', word: 'Fail', sentence: 'The file has problems.' },
  'not-assessed': {
    mark: '–',
    word: 'Not assessed',
    sentence: 'The file is stored, but it is not a video.',
  },
} as const

const SEVERITIES = { info: 'Note', warn: 'Warning', fail: 'Failure' } as const

interface Props {
  session: Session
  assessmentId: string
  report: Report
}

export function ReportView({ session, assessmentId, report }: Props) {
  const verdict = VERDICTS[report.verdict]
  const pictures = report.artefacts.filter((one) => one.content_type.startsWith('image/'))
  const poster = pictures.find((one) => one.kind === 'poster')
  const others = pictures.filter((one) => one !== poster).sort(inOrder)
  const facts = describe(report.probe)
  const show = (picture: Artefact) => (
    <Drawn key={picture.name} session={session} assessmentId={assessmentId} picture={picture} />
  )
  return (
    <section className="report" aria-label="Report">
      <p className={`verdict ${report.verdict}`}>
        <span className="mark" aria-hidden="true">
          {verdict.mark}
        </span>
        <strong>{verdict.word}</strong>
        <span>
          {verdict.sentence} Policy: {report.policy}.
        </span>
      </p>
      {(facts.length > 0 || poster) && (
        <div className="at-a-glance">
          <dl className="facts">
            {facts.map(([name, value]) => (
              <div key={name}>
                <dt>{name}</dt>
                <dd>{value}</dd>
              </div>
            ))}
          </dl>
          {poster && show(poster)}
        </div>
      )}
      {report.findings.length > 0 && <Findings findings={report.findings} />}
      {others.map(show)}
    </section>
  )
}

function Findings({ findings }: { findings: readonly Finding[] }) {
  return (
    <div className="scrolls" tabIndex={0} role="region" aria-label="Findings">
      <table>
        <caption>{plural(findings.length, 'finding')}</caption>
        <thead>
          <tr>
            <th scope="col">Severity</th>
            <th scope="col">When</th>
            <th scope="col">What</th>
            <th scope="col">Code</th>
          </tr>
        </thead>
        <tbody>
          {findings.map((finding, index) => (
            <tr key={index} className={finding.severity}>
              <td>{SEVERITIES[finding.severity]}</td>
              <td className="when">{span(finding)}</td>
              <td>{finding.message}</td>
              <td>
                <code>{finding.code}</code>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function span({ start, end }: Finding): string {
  if (start === null) return 'whole file'
  return end === null ? moment(start) : `${moment(start)} to ${moment(end)}`
}

function Drawn(props: { session: Session; assessmentId: string; picture: Artefact }) {
  const { session, assessmentId, picture } = props
  const { name, kind, width, height } = picture
  return (
    <figure className={plainKind(kind)}>
      <Picture
        session={session}
        path={paths.picture(assessmentId, name)}
        alt={altOf(picture)}
        width={width ?? null}
        height={height ?? null}
      />
      <figcaption>{captionOf(picture)}</figcaption>
    </figure>
  )
}

const KINDS: Record<string, { caption: string; alt: string }> = {
  poster: { caption: 'Poster', alt: 'A picture from the video' },
  'contact-sheet': { caption: 'Contact sheet', alt: 'Pictures from the whole video, in order' },
  waveform: { caption: 'Waveform', alt: 'How loud the sound is, from beginning to end' },
  storyboard: { caption: 'Storyboard', alt: 'Small pictures from the whole video, in order' },
}

const plainKind = (kind: string) => kind.replaceAll('_', '-')

function inOrder(a: Artefact, b: Artefact): number {
  const place = ({ kind }: Artefact) => {
    const found = Object.keys(KINDS).indexOf(plainKind(kind))
    return found < 0 ? Infinity : found
  }
  return place(a) === place(b) ? a.name.localeCompare(b.name) : place(a) - place(b)
}

function captionOf({ kind, time }: Artefact): string {
  const at = typeof time === 'number' ? `, at ${moment(time)}` : ''
  return `${KINDS[plainKind(kind)]?.caption ?? kind}${at}`
}

/** The text alternative of a picture. */
function altOf({ kind }: Artefact): string {
  return KINDS[plainKind(kind)]?.alt ?? kind
}

/** The main facts about the file. */
export function describe(probe: Probe | null): [name: string, value: string][] {
  if (probe === null) return []
  const found: [string, string][] = []
  const streams = probe.streams ?? []
  const video = streams.find((stream) => stream.type === 'video' && !stream.cover)
  const audio = streams.find((stream) => stream.type === 'audio')
  if (typeof probe.duration === 'number') found.push(['Length', moment(probe.duration)])
  if (video) {
    const parts = [video.codec ?? 'unknown']
    if (video.width && video.height) parts.push(`${video.width} × ${video.height}`)
    if (video.frame_rate) parts.push(`${Number(video.frame_rate.toFixed(3))} frames a second`)
    found.push(['Video', parts.join(', ')])
  }
  if (audio) {
    const parts = [audio.codec ?? 'unknown']
    if (audio.layout) parts.push(audio.layout)
    else if (audio.channels) parts.push(plural(audio.channels, 'channel'))
    if (audio.sample_rate) parts.push(`${audio.sample_rate / 1000} kHz`)
    found.push(['Sound', parts.join(', ')])
  }
  return found
}
