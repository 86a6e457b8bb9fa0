/** One upload in the operator's view: its timeline, and what can be done with it. */

import { useState } from 'preact/compat'
import { ConfirmDelete } from './ConfirmDelete'
import type { Asking } from './ConfirmDelete'
import { diagnosticsOf, timelineOf } from './diagnostics'
import { t } from './language'
import { shownName } from './names'
import type { ActingProps } from './OperatorTables'
import { o } from './operatorWords'
import { isUnfinished, paths } from './server'
import type { OperatorsUpload, Overview } from './server'
import { Refusal } from './session'
import { takeFocus } from './takeFocus'
import { size } from './words'

interface Props extends ActingProps {
  upload: OperatorsUpload
  overview: Overview
}

export function OperatorsUploadView({ upload, overview, session, announce, refresh }: Props) {
  const [asking, setAsking] = useState<Asking>('not yet')
  const [problem, setProblem] = useState<string | null>(null)
  const [text, setText] = useState<string | null>(null)
  const name = shownName(upload.filename)

  const copy = async () => {
    const diagnostics = diagnosticsOf(upload, overview)
    try {
      await navigator.clipboard.writeText(diagnostics)
      setText(null)
      announce(o.copied)
    } catch {
      // Without a clipboard (plain http), the text is shown for the user to copy.
      setText(diagnostics)
      announce(o.notCopied)
    }
  }
  const cancel = async () => {
    setAsking('kept')
    try {
      await session.delete(paths.anybodys(upload.upload_id))
      setProblem(null)
      announce(o.wasCancelled(name))
    } catch (error) {
      const why = error instanceof Refusal ? `${error.message} ${error.hint}`.trim() : o.unreachable
      setProblem(o.notCancelled(why))
    }
    refresh()
  }

  return (
    <div className="of-upload">
      <h4>{o.timeline}</h4>
      <ol className="timeline">
        {timelineOf(upload).map(({ what, at }) => (
          <li key={what}>
            <time dateTime={at}>{t.write.exact(new Date(at))}</time>{' '}
            {what === 'ended' ? <End {...upload} /> : o.events[what]}
          </li>
        ))}
        {upload.failure !== null && !upload.ended_at && (
          <li>
            <End {...upload} />
          </li>
        )}
      </ol>
      <p className="quiet">
        {o.id}: <code>{upload.upload_id}</code>
      </p>
      {problem !== null && <p role="alert">{problem}</p>}
      {asking === 'now' ? (
        <ConfirmDelete
          question={o.cancelThis(size(upload.received_bytes))}
          keep={o.keep}
          filename={name}
          onKeep={() => setAsking('kept')}
          onDelete={() => void cancel()}
        />
      ) : (
        <div className="buttons">
          <button type="button" onClick={() => void copy()}>
            {o.copy}
            <span className="unseen">: {name}</span>
          </button>
          {isUnfinished(upload) && (
            <button
              type="button"
              ref={asking === 'kept' ? takeFocus : null}
              onClick={() => setAsking('now')}
            >
              {o.cancel}
              <span className="unseen">: {name}</span>
            </button>
          )}
        </div>
      )}
      {text !== null && (
        <label>
          {o.notCopied}
          <textarea readOnly rows={12} value={text} ref={(area) => area?.select()} />
        </label>
      )}
    </div>
  )
}

/** How it ended without a file, with the server's own reason. */
function End({ state, failure }: OperatorsUpload) {
  return (
    <>
      {o.endedAs(o.states[state] ?? state)} {failure !== null && <bdi lang="en">{failure}</bdi>}
    </>
  )
}
