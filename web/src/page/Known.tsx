/** The uploads on the server: unfinished ones, and finished ones. */

import { useState } from 'preact/compat'
import type { ReactNode } from 'preact/compat'
import type { Accepted } from './accepted'
import { AssessmentView } from './AssessmentView'
import { ChunkMap } from './ChunkMap'
import { ConfirmDelete } from './ConfirmDelete'
import type { Asking } from './ConfirmDelete'
import { t } from './language'
import type { KnownUpload } from './server'
import type { Session } from './session'
import { takeFocus } from './takeFocus'
import { size } from './words'

interface UnfinishedProps {
  uploads: readonly KnownUpload[]
  /** The uploads that another tab or program is sending at the moment. */
  elsewhere: ReadonlySet<string>
  /** By id, those whose file this browser has kept, and that go on with a click. */
  offered: ReadonlyMap<string, unknown>
  onGoOn(upload: KnownUpload): void
  onChoose(upload: KnownUpload): void
  onCancel(upload: KnownUpload): void
}

export function Unfinished({ uploads, elsewhere, offered, ...acts }: UnfinishedProps) {
  const moving = uploads.filter((upload) => elsewhere.has(upload.upload_id))
  const left = uploads.filter((upload) => !elsewhere.has(upload.upload_id))
  return (
    <>
      {moving.length > 0 && (
        <section aria-labelledby="elsewhere-title">
          <h2 id="elsewhere-title">{t.known.elsewhere}</h2>
          <p className="hint">{t.known.elsewhereLong}</p>
          {moving.map((upload) => (
            <UnfinishedOne key={upload.upload_id} upload={upload} />
          ))}
        </section>
      )}
      {left.length > 0 && (
        <section aria-labelledby="unfinished-title">
          <h2 id="unfinished-title">{t.known.unfinished}</h2>
          <p className="hint">{t.known.unfinishedLong}</p>
          {left.map((upload) => (
            <UnfinishedOne key={upload.upload_id} upload={upload}>
              {upload.state === 'completing' ? (
                <p>{t.state.completingLong}</p>
              ) : (
                <GoOnOrDelete {...acts} upload={upload} isOffered={offered.has(upload.upload_id)} />
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
        label={t.known.onServer(safeOf(upload))}
      />
      <p className="state">
        <strong>{inQueue(upload) ?? safeOf(upload)}</strong>
        <span>{keptUntil(upload)}</span>
      </p>
      {children}
    </article>
  )
}

type Acts = Pick<UnfinishedProps, 'onGoOn' | 'onChoose' | 'onCancel'>

interface GoOnOrDeleteProps extends Acts {
  upload: KnownUpload
  isOffered: boolean
}

function GoOnOrDelete({ upload, isOffered, onGoOn, onChoose, onCancel }: GoOnOrDeleteProps) {
  const [asking, setAsking] = useState<Asking>('not yet')
  const name = <span className="unseen">: {upload.filename}</span>
  if (asking === 'now') {
    return (
      <ConfirmDelete
        question={t.known.deletePart}
        keep={t.buttons.keepIt}
        filename={upload.filename}
        onKeep={() => setAsking('kept')}
        onDelete={() => onCancel(upload)}
      />
    )
  }
  return (
    <div className="buttons">
      {isOffered && (
        <button type="button" className="primary" onClick={() => onGoOn(upload)}>
          {t.comeback.goOn}
          {name}
        </button>
      )}
      <button
        type="button"
        className={isOffered ? '' : 'primary'}
        onClick={() => onChoose(upload)}
      >
        {t.known.choose}
        {name}
      </button>
      <button type="button" ref={asking === 'kept' ? takeFocus : null} onClick={() => setAsking('now')}>
        {t.buttons.delete}
        {name}
      </button>
    </div>
  )
}

function inQueue({ state, position }: KnownUpload): string | null {
  return state === 'waiting' && position != null ? t.state.queued(position) : null
}

function safeOf(upload: KnownUpload): string {
  if (upload.received_bytes === 0) return t.nothingYet
  const safe = size(upload.received_bytes)
  return upload.size === null ? t.safe(safe) : t.safeOf(safe, size(upload.size))
}

function keptUntil({ expires_at: at }: KnownUpload): string {
  return at === null ? '' : t.known.keptUntil(t.write.weekday(new Date(at)))
}

/** How many finished uploads are shown; the API has all of them. */
const SHOWN = 5

interface FinishedProps {
  session: Session
  accepted: Accepted
  uploads: readonly KnownUpload[]
}

export function Finished({ uploads, ...props }: FinishedProps) {
  if (uploads.length === 0) return null
  return (
    <section aria-labelledby="finished-title">
      <h2 id="finished-title">{t.known.earlier}</h2>
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

function FinishedOne({ session, accepted, upload }: FinishedOneProps) {
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
          hasReceipt={accepted.receipts}
          sharing={accepted}
        />
      )}
    </details>
  )
}
