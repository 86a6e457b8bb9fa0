/** The uploads on the server: unfinished ones, and finished ones. */

import { useState } from 'preact/compat'
import type { ReactNode } from 'preact/compat'
import { AssessmentView } from './AssessmentView'
import { ChunkMap } from './ChunkMap'
import { ConfirmDelete } from './ConfirmDelete'
import type { Asking } from './ConfirmDelete'
import type { KnownUpload } from './server'
import type { Session } from './session'
import { takeFocus } from './takeFocus'
import { ordinal, size } from './words'

interface UnfinishedProps {
  uploads: readonly KnownUpload[]
  /** The uploads that another tab or program is sending at the moment. */
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
          <h2 id="elsewhere-title">Uploading elsewhere</h2>
          <p className="hint">Another tab or program is uploading these files.</p>
          {moving.map((upload) => (
            <UnfinishedOne key={upload.upload_id} upload={upload} />
          ))}
        </section>
      )}
      {left.length > 0 && (
        <section aria-labelledby="unfinished-title">
          <h2 id="unfinished-title">Unfinished uploads</h2>
          <p className="hint">
            The server has kept what arrived. Choose the same file again to continue: only the rest
            is sent.
          </p>
          {left.map((upload) => (
            <UnfinishedOne key={upload.upload_id} upload={upload}>
              {upload.state === 'completing' ? (
                <p>All bytes have arrived. The server is completing the upload.</p>
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
        <h3>
          <bdi>{upload.filename}</bdi>
        </h3>
        <p className="size">{upload.size === null ? '' : size(upload.size)}</p>
      </header>
      <ChunkMap
        total={upload.size ?? 0}
        safe={upload.received}
        chunkSize={null}
        label={`${safeOf(upload)} on the server`}
      />
      <p className="state">
        <strong>{inQueue(upload) ?? safeOf(upload)}</strong>
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
        question="Delete the part of the file that has arrived?"
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
        Choose the file to continue
        {name}
      </button>
      <button type="button" ref={asking === 'kept' ? takeFocus : null} onClick={() => setAsking('now')}>
        Delete
        {name}
      </button>
    </div>
  )
}

function inQueue({ state, position }: KnownUpload): string | null {
  return state === 'waiting' && position != null ? `${ordinal(position)} in the queue` : null
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

/** How many finished uploads are shown; the API has all of them. */
const SHOWN = 5

interface FinishedProps {
  session: Session
  hasReceipts: boolean
  uploads: readonly KnownUpload[]
}

export function Finished({ uploads, ...props }: FinishedProps) {
  if (uploads.length === 0) return null
  return (
    <section aria-labelledby="finished-title">
      <h2 id="finished-title">Uploaded earlier</h2>
      {uploads
        .slice(-SHOWN)
        .reverse()
        .map((upload) => (
          <FinishedOne key={upload.upload_id} {...props} upload={upload} />
        ))}
    </section>
  )
}

type FinishedOneProps = Omit<FinishedProps, 'uploads'> & { upload: KnownUpload }

function FinishedOne({ session, hasReceipts, upload }: FinishedOneProps) {
  const [isOpen, setOpen] = useState(false)
  return (
    <details className="card" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        <bdi className="name">{upload.filename}</bdi>
        <span className="size">{upload.size === null ? '' : size(upload.size)}</span>
      </summary>
      {isOpen && (
        <AssessmentView
          session={session}
          uploadId={upload.upload_id}
          assessmentId={upload.assessment_id}
          filename={upload.filename}
          hasReceipt={hasReceipts}
        />
      )}
    </details>
  )
}
