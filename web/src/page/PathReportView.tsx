/**
 * What an examination found: the verdict, the findings, and what the operator should change.
 *
 * Rule 1: every text is shown as text: some of them are a proxy's.
 */

import { Fragment, useState } from 'preact/compat'
import type { ReactNode } from 'preact/compat'
import { t } from './language'
import type { Examined, PathReport, Remedy } from './server'
import { size } from './words'

/** The name of the letter that `wherry doctor --write` writes. */
const LETTER = 'INGRESS_FIX_REQUIRED.md'

const LOOKS = {
  wide: { look: 'pass', mark: '✓' },
  narrow: { look: 'warn', mark: '!' },
  trouble: { look: 'warn', mark: '!' },
  unknown: { look: 'not-assessed', mark: '–' },
  unreachable: { look: 'fail', mark: '✕' },
} as const

const MARKS = { problem: '✕', note: '·', good: '✓' } as const

interface Props {
  found: Examined
  again(): void
  announce(sentence: string): void
}

export function PathReportView({ found, again, announce }: Props) {
  const report = found.report!
  const { look, mark } = LOOKS[report.verdict]
  const [word, sentence] = t.check.verdicts[report.verdict]!
  const isWorthALetter = report.verdict === 'narrow' || report.verdict === 'trouble'
  return (
    <div className="report">
      <p className={`verdict ${look}`}>
        <span className="mark" aria-hidden="true">
          {mark}
        </span>
        <strong>{word}</strong>
        <span>{sentence}</span>
      </p>
      <ul className="found">
        {report.findings.map(({ code, level, text }) => (
          <li key={code}>
            <span aria-hidden="true">{MARKS[level]}</span>
            <span>
              <span className="unseen">{t.check.levels[level]}: </span>
              <Marked text={text} />
            </span>
          </li>
        ))}
      </ul>
      <dl className="facts">
        {factsOf(report).map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {report.remedies.length > 0 && (
        <>
          <h3>{t.check.toChange}</h3>
          {report.remedies.map((remedy) => (
            <RemedyView key={remedy.proxy} remedy={remedy} isOpen={report.remedies.length === 1} />
          ))}
        </>
      )}
      {isWorthALetter && <Letter text={found.letter!} announce={announce} />}
      <div className="buttons">
        <button type="button" onClick={again}>
          {t.check.again}
        </button>
      </div>
    </div>
  )
}

/** The main measurements; what was not measured is said to be so. */
export function factsOf(report: PathReport): [name: string, value: string][] {
  const { limit, buffers, clock, spent } = report
  const either = (value: boolean | null) => (value === null ? t.check.notKnown : value ? t.check.yes : t.check.no)
  const path = report.proxies.map(
    ({ proxy, version, evidence }) => `${proxy} ${version ?? ''} (${evidence.join('; ')})`,
  )
  return [
    [t.check.passed, limit.passes === null ? t.check.notKnown : bytes(limit.passes)],
    [t.check.refused, limit.refuses === null ? t.check.none : bytes(limit.refuses)],
    [t.check.onTheWay, path.join(', ') || t.check.nothingShows],
    [t.check.http, HTTP[report.http.protocol ?? ''] ?? report.http.protocol ?? t.check.notKnown],
    [t.check.collected, either(buffers.request)],
    [t.check.answersCollected, either(buffers.answer)],
    [t.check.clock, clock.skew === null ? t.check.notKnown : skewed(clock.skew)],
    [
      t.check.cost,
      t.check.costs(size(spent.bytes), spent.requests, spent.seconds.toFixed(0)),
    ],
  ]
}

const HTTP: Record<string, string> = { 'http/1.1': 'HTTP/1.1', h2: 'HTTP/2', h3: 'HTTP/3' }

/** `1 MiB`, `1048577 bytes`. */
function bytes(count: number): string {
  return count % 1024 === 0 ? size(count) : t.bytes(count)
}

function skewed(seconds: number): string {
  if (Math.abs(seconds) <= 2) return t.check.sameClock
  return seconds > 0 ? t.check.ahead(seconds) : t.check.behind(-seconds)
}

function RemedyView({ remedy, isOpen }: { remedy: Remedy; isOpen: boolean }) {
  return (
    <details open={isOpen}>
      <summary>
        <span className="name">{remedy.title}</span>
      </summary>
      <Marked text={remedy.text} />
      {remedy.snippets.map(({ about, code }, index) => (
        <Fragment key={index}>
          {about && (
            <p>
              <Marked text={about} />
            </p>
          )}
          <Code label={t.check.lines(remedy.title)}>{code}</Code>
        </Fragment>
      ))}
      {remedy.after && (
        <p>
          <Marked text={remedy.after} />
        </p>
      )}
    </details>
  )
}

function Code({ label, children }: { label: string; children: ReactNode }) {
  return (
    <div className="scrolls" tabIndex={0} role="region" aria-label={label}>
      <pre>{children}</pre>
    </div>
  )
}

/** The marks of Markdown that the doctor's sentences have: code and strong. */
function Marked({ text }: { text: string }) {
  return text.split(/(`[^`]+`|\*\*[^*]+\*\*)/).map((part, index) => {
    if (index % 2 === 0) return part
    return part.startsWith('`') ? (
      <code key={index}>{part.slice(1, -1)}</code>
    ) : (
      <strong key={index}>{part.slice(2, -2)}</strong>
    )
  })
}

function Letter({ text, announce }: { text: string; announce: Props['announce'] }) {
  const [said, setSaid] = useState('')
  const say = (sentence: string) => {
    setSaid(sentence)
    announce(sentence)
  }
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text)
      say(t.check.copied)
    } catch {
      say(t.check.notCopied)
    }
  }
  return (
    <>
      <h3>{t.check.letter}</h3>
      <p>{t.check.letterAbout}</p>
      <div className="buttons">
        <button type="button" className="primary" onClick={() => save(text)}>
          {t.check.save}
        </button>
        <button type="button" onClick={() => void copy()}>
          {t.check.copy}
        </button>
      </div>
      {said !== '' && <p>{said}</p>}
      <details className="letter">
        <summary>{t.check.read}</summary>
        <Code label={t.check.theLetter}>{text}</Code>
      </details>
    </>
  )
}

function save(text: string): void {
  const address = URL.createObjectURL(new Blob([text], { type: 'text/markdown' }))
  const link = document.createElement('a')
  link.href = address
  link.download = LETTER
  link.click()
  setTimeout(() => URL.revokeObjectURL(address), 60_000)
}
