/** The report of an assessment: verdict, facts, findings, pictures. */

import { Picture } from './Guarded'
import { t } from './language'
import { paths } from './server'
import type { Artefact, Finding, Probe, Report } from './server'
import type { Session } from './session'
import { moment } from './words'

const MARKS = { pass: '✓', warn: '!', fail: '✕', 'not-assessed': '–' } as const

interface Props {
  session: Session
  assessmentId: string
  report: Report
}

export function ReportView({ session, assessmentId, report }: Props) {
  const [word, sentence] = t.report.verdicts[report.verdict]!
  const pictures = report.artefacts.filter((one) => one.content_type.startsWith('image/'))
  const poster = pictures.find((one) => one.kind === 'poster')
  const others = pictures.filter((one) => one !== poster).sort(inOrder)
  const facts = describe(report.probe)
  const show = (picture: Artefact) => (
    <Drawn key={picture.name} session={session} assessmentId={assessmentId} picture={picture} />
  )
  return (
    <section className="report" aria-label={t.report.label}>
      <p className={`verdict ${report.verdict}`}>
        <span className="mark" aria-hidden="true">
          {MARKS[report.verdict]}
        </span>
        <strong>{word}</strong>
        <span>
          {sentence} {t.report.policy(report.policy)}
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
    <div className="scrolls" tabIndex={0} role="region" aria-label={t.report.findings}>
      <table>
        <caption>{t.report.count(findings.length)}</caption>
        <thead>
          <tr>
            <th scope="col">{t.report.severity}</th>
            <th scope="col">{t.report.when}</th>
            <th scope="col">{t.report.what}</th>
            <th scope="col">{t.report.code}</th>
          </tr>
        </thead>
        <tbody>
          {findings.map((finding, index) => (
            <tr key={index} className={finding.severity}>
              <td>{t.report.severities[finding.severity]}</td>
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
  if (start === null) return t.report.wholeFile
  return end === null ? moment(start) : t.report.fromTo(moment(start), moment(end))
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

const plainKind = (kind: string) => kind.replaceAll('_', '-')

function inOrder(a: Artefact, b: Artefact): number {
  const place = ({ kind }: Artefact) => {
    const found = Object.keys(t.report.captions).indexOf(plainKind(kind))
    return found < 0 ? Infinity : found
  }
  return place(a) === place(b) ? a.name.localeCompare(b.name) : place(a) - place(b)
}

function captionOf({ kind, time }: Artefact): string {
  const caption = t.report.captions[plainKind(kind)] ?? kind
  return typeof time === 'number' ? t.report.captionAt(caption, moment(time)) : caption
}

/** The text alternative of a picture. */
function altOf({ kind }: Artefact): string {
  return t.report.pictures[plainKind(kind)] ?? kind
}

/** The main facts about the file. */
export function describe(probe: Probe | null): [name: string, value: string][] {
  if (probe === null) return []
  const found: [string, string][] = []
  const streams = probe.streams ?? []
  const video = streams.find((stream) => stream.type === 'video' && !stream.cover)
  const audio = streams.find((stream) => stream.type === 'audio')
  if (typeof probe.duration === 'number') found.push([t.report.length, moment(probe.duration)])
  if (video) {
    const parts = [video.codec ?? t.report.unknown]
    if (video.width && video.height) parts.push(`${video.width} × ${video.height}`)
    if (video.frame_rate) parts.push(t.report.frames(Number(video.frame_rate.toFixed(3))))
    found.push([t.report.video, parts.join(', ')])
  }
  if (audio) {
    const parts = [audio.codec ?? t.report.unknown]
    if (audio.layout) parts.push(audio.layout)
    else if (audio.channels) parts.push(t.report.channels(audio.channels))
    if (audio.sample_rate) parts.push(`${audio.sample_rate / 1000} kHz`)
    found.push([t.report.sound, parts.join(', ')])
  }
  return found
}
