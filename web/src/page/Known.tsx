/** What the server has already: uploads that wait for the rest of their file, and finished ones. */

import { useState } from 'react'
import type { ReactNode } from 'react'
import { AssessmentView } from './AssessmentView'
import { ChunkMap } from './ChunkMap'
import { ConfirmDelete } from './ConfirmDelete'
import type { Asking } from './ConfirmDelete'
import type { KnownUpload } from './server'
import type { Session } from './session'
import { ordinal, size } from './words'

interface UnfinishedProps {
  uploads: readonly KnownUpload[]
  /** Those of them that another tab or program is sending at this moment. */
  elsewhere: ReadonlySet<string>
  onChoose(upload: KnownUpload): void
  onCancel(upload: KnownUpload): void
}

export function Unfinished({ uploads, elsewhere, onChoose, onCancel }: UnfinishedProps) {
  const moving = uploads.filter((upload) => elsewhere.has(upload.upload_id))
  const left = uploads.filter((upload) => !elsewhere.has(upload.upload_id))
  return (
    <>
      {moving.length > 0 && (
        <section aria-labelledby="elsewhere-title">
          <h2 id="elsewhere-title">On their way elsewhere</h2>
          <p className="hint">Another tab or program is sending these files.</p>
          {moving.map((upload) => (
            <UnfinishedOne key={upload.upload_id} upload={upload} />
          ))}
        </section>
      )}
      {left.length > 0 && (
        <section aria-labelledby="unfinished-title">
          <h2 id="unfinished-title">Not finished yet</h2>
          <p className="hint">
            The browser has forgotten these files, the server has kept what arrived. Choose the file
            again to go on; only the rest is sent.
          </p>
          {left.map((upload) => (
            <UnfinishedOne key={upload.upload_id} upload={upload}>
              {upload.state === 'completing' ? (
                <p>Every byte has arrived; the server is finishing it.</p>
              ) : (
                <GoOnOrDelete upload={upload} onChoose={onChoose} onCancel={onCancel} />
              )}
            </UnfinishedOne>
          ))}
        </section>
      )}
    </>
  )
}

function UnfinishedOne({ upload, children }: { upload: KnownUpload; children?: ReactNode }) {
  return (
    <article className="card upload" aria-label={upload.filename}>
      <header>
        <h3>{upload.filename}</h3>
        <p className="size">{upload.size === null ? '' : size(upload.size)}</p>
      </header>
      <ChunkMap
        total={upload.size ?? 0}
        safe={upload.received}
        chunkSize={null}
        label={`${safeOf(upload)} on the server`}
      />
      <p className="state">
        <strong>{inLine(upload) ?? safeOf(upload)}</strong>
        <span>{keptUntil(upload)}</span>
      </p>
      {children}
    </article>
  )
}

function GoOnOrDelete({
  upload,
  onChoose,
  onCancel,
}: Pick<UnfinishedProps, 'onChoose' | 'onCancel'> & { upload: KnownUpload }) {
  const [asking, setAsking] = useState<Asking>('not yet')
  const name = <span className="unseen">: {upload.filename}</span>
  if (asking === 'now') {
    return (
      <ConfirmDelete
        question="Delete what has arrived?"
        keep="Keep it"
        filename={upload.filename}
        onKeep={() => setAsking('kept')}
        onDelete={() => onCancel(upload)}
      />
    )
  }
  return (
    <div className="buttons">
      <button type="button" className="primary" onClick={() => onChoose(upload)}>
        Choose the file again to go on
        {name}
      </button>
      <button type="button" autoFocus={asking === 'kept'} onClick={() => setAsking('now')}>
        Delete it
        {name}
      </button>
    </div>
  )
}

function inLine({ state, position }: KnownUpload): string | null {
  return state === 'waiting' && position != null ? `${ordinal(position)} in line` : null
}

function safeOf(upload: KnownUpload): string {
  if (upload.received_bytes === 0) return 'Nothing has arrived yet'
  const whole = upload.size === null ? '' : ` of ${size(upload.size)}`
  return `${size(upload.received_bytes)}${whole} safe`
}

function keptUntil({ expires_at: at }: KnownUpload): string {
  if (at === null) return ''
  const when = new Date(at)
  const time = when.toLocaleString('en-GB', { weekday: 'long', hour: '2-digit', minute: '2-digit' })
  return `Kept until ${time}.`
}

/** The last ones are enough; all of them are in the API. */
const SHOWN = 5

export function Finished({
  session,
  uploads,
}: {
  session: Session
  uploads: readonly KnownUpload[]
}) {
  if (uploads.length === 0) return null
  return (
    <section aria-labelledby="finished-title">
      <h2 id="finished-title">Arrived earlier</h2>
      {uploads
        .slice(-SHOWN)
        .reverse()
        .map((upload) => (
          <FinishedOne key={upload.upload_id} session={session} upload={upload} />
        ))}
    </section>
  )
}

function FinishedOne({ session, upload }: { session: Session; upload: KnownUpload }) {
  const [isOpen, setOpen] = useState(false)
  return (
    <details className="card" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        <span className="name">{upload.filename}</span>
        <span className="size">{upload.size === null ? '' : size(upload.size)}</span>
      </summary>
      {isOpen && (
        <AssessmentView
          session={session}
          uploadId={upload.upload_id}
          assessmentId={upload.assessment_id}
          filename={upload.filename}
        />
      )}
    </details>
  )
}
