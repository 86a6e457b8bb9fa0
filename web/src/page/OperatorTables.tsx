/** The tables of the operator's view, and what a row opens. */

import { Fragment, useState } from 'preact/compat'
import type { ReactNode } from 'preact/compat'
import { KeepFocus } from './Buttons'
import { t } from './language'
import { shownName } from './names'
import { OperatorsUploadView } from './OperatorsUploadView'
import { o } from './operatorWords'
import { MOST_UPLOADS } from './server'
import type { KnownPath, OperatorsUpload, Overview } from './server'
import type { Session } from './session'
import type { Look, Speeds } from './watching'
import { duration, secondsBetween, size } from './words'

export interface ActingProps {
  session: Session
  announce(sentence: string): void
  /** What is shown has changed. */
  refresh(): void
}

type Props = ActingProps & { look: Look }

export function UploadsInFlight({ look, speeds, ...acting }: Props & { speeds: Speeds }) {
  const { overview } = look
  const found = look.uploads.filter((upload) => upload.position == null)
  const { receiving, completing, waiting } = overview.uploads
  const moving = receiving + completing + waiting - overview.storage.waiting
  return (
    <Table
      id="in-flight"
      title={o.inFlight}
      none={o.noneInFlight}
      left={leftOut(look, moving - found.length)}
      heads={[o.file, o.owner, o.state, o.safe, o.speed, o.lastByte]}
      rows={found}
      cells={(upload) => {
        const speed = speeds.of(upload.upload_id)
        return [
          <bdi>{shownName(upload.owner)}</bdi>,
          o.states[upload.state],
          safeOf(upload),
          speed === null ? '' : t.perSecond(size(Math.round(speed))),
          upload.last_byte_at === null ? '' : ago(upload.last_byte_at, overview),
        ]
      }}
      {...acting}
      overview={overview}
    />
  )
}

export function Queue({ look, ...acting }: Props) {
  const { overview } = look
  const found = look.uploads.filter((upload) => upload.position != null)
  const ordered = found.sort((one, other) => one.position! - other.position!)
  return (
    <Table
      id="queue"
      title={o.queue}
      none={o.noneQueued}
      left={leftOut(look, overview.storage.waiting - found.length)}
      heads={[o.file, o.owner, o.position, o.size, o.since]}
      rows={ordered}
      cells={(upload) => [
        <bdi>{shownName(upload.owner)}</bdi>,
        t.write.number(upload.position!),
        upload.size === null ? '' : size(upload.size),
        upload.queued_at === null ? '' : duration(secondsBetween(upload.queued_at, overview.at)),
      ]}
      {...acting}
      overview={overview}
    />
  )
}

export function Ended({ look, ...acting }: Props) {
  return (
    <Table
      id="ended"
      title={o.ended}
      none={o.noneEnded}
      left={0}
      heads={[o.file, o.owner, o.state, o.reason, o.begun]}
      rows={look.ended}
      cells={(upload) => [
        <bdi>{shownName(upload.owner)}</bdi>,
        o.states[upload.state],
        // The server's own words.
        upload.failure && <bdi lang="en">{upload.failure}</bdi>,
        t.write.exact(new Date(upload.created_at)),
      ]}
      {...acting}
      overview={look.overview}
    />
  )
}

export function Paths({ paths }: { paths: readonly KnownPath[] }) {
  return (
    <Section id="paths" title={o.paths} none={paths.length === 0 ? o.noPath : null}>
      <Heads heads={[o.host, o.passes, o.refuses, o.by, o.reports]} />
      <tbody>
        {paths.map((path) => (
          <tr key={path.host} className={path.refuses === null ? '' : 'warn'}>
            <Cell head={o.host}>
              <bdi>{path.host}</bdi>
            </Cell>
            <Cell head={o.passes}>{limitOf(path.passes, path.refuses)}</Cell>
            <Cell head={o.refuses}>{limitOf(path.refuses, path.passes)}</Cell>
            <Cell head={o.by}>{path.refused_by && <bdi lang="en">{path.refused_by}</bdi>}</Cell>
            <Cell head={o.reports}>
              {path.refuses === null ? '' : o.reported(path.owners, path.confirmed)}
            </Cell>
          </tr>
        ))}
      </tbody>
    </Section>
  )
}

/** In bytes where the other limit would look the same: one byte may make the difference. */
function limitOf(limit: number | null, other: number | null): string {
  if (limit === null) return ''
  return other !== null && size(limit) === size(other) ? t.bytes(limit) : size(limit)
}

interface TableProps extends ActingProps {
  id: string
  title: string
  /** What is said where there is no row. */
  none: string
  /** How many more there are. */
  left: number
  /** The first is that of the file's name, which opens the row. */
  heads: readonly string[]
  rows: readonly OperatorsUpload[]
  cells(upload: OperatorsUpload): ReactNode[]
  overview: Overview
}

function Table({ id, title, none, left, heads, rows, cells, overview, ...acting }: TableProps) {
  const [open, setOpen] = useState<string | null>(null)
  return (
    <Section id={id} title={title} none={rows.length === 0 ? none : null} left={left}>
      <Heads heads={heads} />
      <tbody>
        {rows.map((upload) => {
          const isOpen = open === upload.upload_id
          return (
            <Fragment key={upload.upload_id}>
              <tr>
                <Cell head={heads[0]!}>
                  <button
                    type="button"
                    className="opens"
                    aria-expanded={isOpen}
                    onClick={() => setOpen(isOpen ? null : upload.upload_id)}
                  >
                    <bdi>{shownName(upload.filename)}</bdi>
                  </button>
                </Cell>
                {cells(upload).map((cell, index) => (
                  <Cell key={index} head={heads[index + 1]!}>
                    {cell}
                  </Cell>
                ))}
              </tr>
              {isOpen && (
                <tr className="opened">
                  <td colSpan={heads.length}>
                    <OperatorsUploadView {...acting} {...{ upload, overview }} />
                  </td>
                </tr>
              )}
            </Fragment>
          )
        })}
      </tbody>
    </Section>
  )
}

interface SectionProps {
  id: string
  title: string
  none: string | null
  left?: number
  children: ReactNode
}

function Section({ id, title, none, left = 0, children }: SectionProps) {
  const titleId = `${id}-title`
  return (
    <section className="card" aria-labelledby={titleId} tabIndex={-1}>
      <h3 id={titleId}>{title}</h3>
      <KeepFocus>
        {none !== null ? (
          <p className="quiet">{none}</p>
        ) : (
          <table aria-labelledby={titleId}>{children}</table>
        )}
      </KeepFocus>
      {left > 0 && <p className="quiet">{o.notShown(left)}</p>}
    </section>
  )
}

function Heads({ heads }: { heads: readonly string[] }) {
  return (
    <thead>
      <tr>
        {heads.map((head) => (
          <th key={head} scope="col">
            {head}
          </th>
        ))}
      </tr>
    </thead>
  )
}

/** `head`: is shown before it where the table is too wide for its columns. */
function Cell({ head, children }: { head: string; children: ReactNode }) {
  return <td data-head={head}>{children}</td>
}

/** How many rows are missing. Counts and rows are not of the same moment, so few are never missing. */
function leftOut({ uploads }: Look, difference: number): number {
  return uploads.length < MOST_UPLOADS ? 0 : Math.max(difference, 0)
}

function safeOf({ received_bytes: safe, size: whole }: OperatorsUpload): string {
  return whole === null ? size(safe) : t.ofTotal(size(safe), size(whole))
}

function ago(then: string, { at }: Overview): string {
  return o.ago(duration(secondsBetween(then, at)))
}
