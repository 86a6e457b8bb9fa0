/**
 * What an examination found: the verdict, the findings, and what the operator should change.
 *
 * Rule 1: every text is shown as text: some of them are a proxy's.
 */

import { Fragment, useState } from 'preact/compat'
import type { ReactNode } from 'preact/compat'
import type { Examined, PathReport, Remedy } from './server'
import { plural, size } from './words'

/** The name of the letter that `wherry doctor --write` writes. */
const LETTER = 'INGRESS_FIX_REQUIRED.md'

export const VERDICTS = {
  wide: { look: 'pass', mark: '✓', word: 'Wide', sentence: 'No limit was found that slows uploads down.' },
  narrow: {
    look: 'warn',
    mark: '!',
    word: 'Narrow',
    sentence: 'Large requests are refused on the way. Uploads still work, in smaller requests.',
  },
  trouble: { look: 'warn', mark: '!', word: 'Trouble', sentence: 'Something on the way disturbs uploads.' },
  unknown: {
    look: 'not-assessed',
    mark: '–',
    word: 'Not known',
    sentence: 'Too little could be measured. Check again later.',
  },
  unreachable: {
    look: 'fail',
    mark: '✕',
    word: 'Unreachable',
    sentence: 'The requests of the check got no answer.',
  },
} as const

const LEVELS = {
  problem: { mark: '✕', word: 'Problem' },
  note: { mark: '·', word: 'Note' },
  good: { mark: '✓', word: 'Good' },
} as const

interface Props {
  found: Examined
  again(): void
  announce(sentence: string): void
}

export function PathReportView({ found, again, announce }: Props) {
  const report = found.report!
  const verdict = VERDICTS[report.verdict]
  const isWorthALetter = report.verdict === 'narrow' || report.verdict === 'trouble'
  return (
    <div className="report">
      <p className={`verdict ${verdict.look}`}>
        <span className="mark" aria-hidden="true">
          {verdict.mark}
        </span>
        <strong>{verdict.word}</strong>
        <span>{verdict.sentence}</span>
      </p>
      <ul className="found">
        {report.findings.map(({ code, level, text }) => (
          <li key={code}>
            <span aria-hidden="true">{LEVELS[level].mark}</span>
            <span>
              <span className="unseen">{LEVELS[level].word}: </span>
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
          <h3>What the operator should change</h3>
          {report.remedies.map((remedy) => (
            <RemedyView key={remedy.proxy} remedy={remedy} isOpen={report.remedies.length === 1} />
          ))}
        </>
      )}
      {isWorthALetter && <Letter text={found.letter!} announce={announce} />}
      <div className="buttons">
        <button type="button" onClick={again}>
          Check again
        </button>
      </div>
    </div>
  )
}

/** The main measurements; what was not measured is said to be so. */
export function factsOf(report: PathReport): [name: string, value: string][] {
  const { limit, buffers, clock, spent } = report
  const either = (value: boolean | null) => (value === null ? 'not known' : value ? 'yes' : 'no')
  const path = report.proxies.map(
    ({ proxy, version, evidence }) => `${proxy} ${version ?? ''} (${evidence.join('; ')})`,
  )
  return [
    ['Largest body that passed', limit.passes === null ? 'not known' : bytes(limit.passes)],
    ['Smallest body that was refused', limit.refuses === null ? 'none' : bytes(limit.refuses)],
    ['On the way', path.join(', ') || 'nothing that shows itself'],
    ['HTTP version', HTTP[report.http.protocol ?? ''] ?? report.http.protocol ?? 'not known'],
    ['Bodies are collected on the way', either(buffers.request)],
    ['Answers are collected on the way', either(buffers.answer)],
    ['Server’s clock', clock.skew === null ? 'not known' : skewed(clock.skew)],
    [
      'Cost of the check',
      `${size(spent.bytes)} in ${plural(spent.requests, 'request')}, ${spent.seconds.toFixed(0)} s`,
    ],
  ]
}

const HTTP: Record<string, string> = { 'http/1.1': 'HTTP/1.1', h2: 'HTTP/2', h3: 'HTTP/3' }

/** `1 MiB`, `1,048,577 bytes`. */
function bytes(count: number): string {
  return count % 1024 === 0 ? size(count) : `${count.toLocaleString('en')} bytes`
}

function skewed(seconds: number): string {
  if (Math.abs(seconds) <= 2) return 'like the clock of this browser'
  const by = plural(Math.abs(seconds), 'second')
  return `${by} ${seconds > 0 ? 'ahead of' : 'behind'} the clock of this browser`
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
          <Code label={`${remedy.title}: lines to change`}>{code}</Code>
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
      say('The letter was copied.')
    } catch {
      say('This browser does not allow copying. Save the letter, or copy its text below.')
    }
  }
  return (
    <>
      <h3>A letter to the operator</h3>
      <p>
        The people who run the proxy in front of this server can change this. The letter has the
        measurements for them, and the lines to change.
      </p>
      <div className="buttons">
        <button type="button" className="primary" onClick={() => save(text)}>
          Save the letter
        </button>
        <button type="button" onClick={() => void copy()}>
          Copy the letter
        </button>
      </div>
      {said !== '' && <p>{said}</p>}
      <details className="letter">
        <summary>Read the letter</summary>
        <Code label="The letter">{text}</Code>
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
