/** What the server has already: uploads that wait for the rest of their file, and finished ones. */

import { useState } from 'react'
import { AssessmentView } from './AssessmentView'
import { ChunkMap } from './ChunkMap'
import type { KnownUpload } from './server'
import type { Session } from './session'
import { ordinal, size } from './words'

interface UnfinishedProps {
  uploads: readonly KnownUpload[]
  onChoose(upload: KnownUpload): void
  onCancel(upload: KnownUpload): void
}

export function Unfinished({ uploads, onChoose, onCancel }: UnfinishedProps) {
  if (uploads.length === 0) return null
  return (
    <section aria-labelledby="unfinished-title">
      <h2 id="unfinished-title">Not finished yet</h2>
      <p className="hint">
        The browser has forgotten these files, the server has kept what arrived. Choose the file
        again to go on; only the rest is sent.
      </p>
      {uploads.map((upload) => (
        <article key={upload.upload_id} className="card upload" aria-label={upload.filename}>
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
          {upload.state === 'completing' ? (
            <p>Every byte has arrived; the server is finishing it.</p>
          ) : (
            <div className="buttons">
              <button type="button" className="primary" onClick={() => onChoose(upload)}>
                Choose the file again to go on
                <span className="unseen">: {upload.filename}</span>
              </button>
              <button type="button" onClick={() => onCancel(upload)}>
                Delete it
                <span className="unseen">: {upload.filename}</span>
              </button>
            </div>
          )}
        </article>
      ))}
    </section>
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
