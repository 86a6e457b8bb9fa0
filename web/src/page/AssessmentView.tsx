/** The assessment of an uploaded file: its steps while they run, then the report. */

import { useEffect } from 'preact/compat'
import type { Sharing } from './accepted'
import { GuardedLink } from './Guarded'
import { t } from './language'
import { ReportView } from './ReportView'
import { ShareReport } from './ShareReport'
import { paths } from './server'
import type { Step } from './server'
import type { Session } from './session'
import { useAssessment } from './useAssessment'

interface Props {
  session: Session
  uploadId: string
  assessmentId: string | null
  filename: string
  hasReceipt: boolean
  sharing: Sharing
  announce?(sentence: string): void
}

export function AssessmentView(props: Props) {
  const { session, assessmentId } = props
  return (
    <div className="after">
      {session.isGuest ? (
        <Receipt {...props} />
      ) : assessmentId === null ? (
        <>
          <p>{t.assessment.none}</p>
          <Links {...props} />
        </>
      ) : (
        <Watching {...props} assessmentId={assessmentId} />
      )}
    </div>
  )
}

function Watching(props: Props & { assessmentId: string }) {
  const { session, uploadId, assessmentId, filename, announce } = props
  const { assessment, isForeign, problem } = useAssessment(session, assessmentId)
  const verdict = assessment?.report?.verdict
  useEffect(() => {
    if (verdict) announce?.(`${filename}: ${t.report.verdicts[verdict]!.join('. ')}`)
  }, [verdict, announce, filename])

  if (isForeign) {
    return (
      <p>
        {t.assessment.foreign} <code>{assessmentId}</code>.
      </p>
    )
  }
  return (
    <>
      {problem && <p className="quiet">{problem}</p>}
      {assessment?.worker?.state === 'failing' && (
        <div className="trouble">
          <p>
            <strong>{t.assessment.notRunning}</strong> {assessment.worker.problem}
          </p>
          <p>{t.assessment.notRunningNext}</p>
        </div>
      )}
      {assessment?.state === 'queued' && <p>{t.assessment.queued}</p>}
      {assessment?.state === 'running' && <Steps steps={assessment.steps} />}
      {assessment?.state === 'failed' && (
        <div className="trouble">
          <p>
            <strong>{t.assessment.failed}</strong> {assessment.problem}
          </p>
          <p>{t.assessment.failedNext}</p>
        </div>
      )}
      {assessment?.report && (
        <>
          <ReportView
            {...{ session, uploadId, assessmentId, filename }}
            report={assessment.report}
            hasFile
          />
          {props.sharing.shared_reports && (
            <ShareReport {...{ session, uploadId, assessmentId }} withFiles={props.sharing.shared_files} />
          )}
        </>
      )}
      <Links {...props} />
    </>
  )
}

function Receipt({ session, uploadId, filename, hasReceipt }: Props) {
  if (!hasReceipt) return null
  return (
    <GuardedLink session={session} path={paths.receipt(uploadId)} saveAs={`${filename}.receipt`}>
      {t.assessment.receipt}
    </GuardedLink>
  )
}

function Links(props: Props) {
  const { session, uploadId, filename } = props
  return (
    <ul className="links">
      <li>
        <GuardedLink session={session} path={paths.file(uploadId)} saveAs={filename}>
          {t.assessment.download}
        </GuardedLink>
      </li>
      {props.hasReceipt && (
        <li>
          <Receipt {...props} />
        </li>
      )}
    </ul>
  )
}

function Steps({ steps }: { steps: readonly Step[] }) {
  return (
    <section aria-label={t.assessment.label}>
      <h4>{t.assessment.running}</h4>
      <ol className="steps">
        {steps.map((step) => (
          <li key={step.name} className={step.state}>
            <span className="name">{t.assessment.steps[step.name] ?? step.name}</span>
            <span className="how">
              {t.assessment.stepStates[step.state] ?? step.state}
              {step.seconds !== null && ` ${t.assessment.inSeconds(step.seconds.toFixed(1))}`}
            </span>
          </li>
        ))}
      </ol>
    </section>
  )
}
