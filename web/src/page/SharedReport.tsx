/** The page of a link that shows one report, and nothing else. */

import { useEffect } from 'preact/compat'
import { useAccepted } from './accepted'
import { Boat } from './Boat'
import { GuardedLink } from './Guarded'
import { t } from './language'
import { ReportView } from './ReportView'
import { shownName } from './names'
import { paths } from './server'
import type { Session } from './session'
import { useAssessment } from './useAssessment'

export function SharedReport({ session, assessmentId }: { session: Session; assessmentId: string }) {
  const { accepted, refusal } = useAccepted(session, false)
  const { assessment, isForeign, problem, ended } = useAssessment(session, assessmentId)
  const { ticket } = accepted
  const report = assessment?.report ?? null
  const filename = shownName(report?.source?.filename ?? '')
  useEffect(() => {
    if (filename) document.title = filename
  }, [filename])
  return (
    <>
      <header className="top">
        <Boat />
        <h1>Wherry</h1>
      </header>
      <main>
        {ended !== null || refusal !== null || isForeign ? (
          <Ended code={refusal?.code ?? ended ?? ''} />
        ) : (
          <article className="card upload">
            <h2 className="filename">
              <bdi>{filename}</bdi>
            </h2>
            {problem && <p className="quiet">{problem}</p>}
            {assessment && !report && <p>{t.share.notYet}</p>}
            {ticket && <p className="quiet">{t.share.shownUntil(t.write.date(new Date(ticket.expires_at)))}</p>}
            {assessment && report && (
              <ReportView
                {...{ session, assessmentId, filename, report }}
                uploadId={assessment.upload_id}
                hasFile={ticket?.with_file === true}
              />
            )}
            {assessment && report && ticket?.with_file && (
              <GuardedLink session={session} path={paths.file(assessment.upload_id)} saveAs={filename}>
                {t.assessment.download}
              </GuardedLink>
            )}
          </article>
        )}
      </main>
    </>
  )
}

function Ended({ code }: { code: string }) {
  const sentences: Record<string, string> = {
    'ticket-expired': t.trouble.linkExpired,
    'ticket-revoked': t.trouble.linkRevoked,
  }
  return (
    <div className="card trouble" role="alert">
      <p>
        <strong>{sentences[code] ?? t.share.ended}</strong>
      </p>
      <p>{t.guests.askSender}</p>
    </div>
  )
}
