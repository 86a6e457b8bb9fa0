/** The assessment of an uploaded file: its steps while they run, then the report. */

import { useEffect } from 'preact/compat'
import { GuardedLink } from './Guarded'
import { ReportView, VERDICTS } from './ReportView'
import { paths } from './server'
import type { Report, Step } from './server'
import type { Session } from './session'
import { useAssessment } from './useAssessment'

interface Props {
  session: Session
  uploadId: string
  assessmentId: string | null
  filename: string
  hasReceipt: boolean
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
          <p>The file is stored. There is no assessment.</p>
          <Links {...props} report={null} />
        </>
      ) : (
        <Watching {...props} assessmentId={assessmentId} />
      )}
    </div>
  )
}

function Watching(props: Props & { assessmentId: string }) {
  const { session, assessmentId, filename, announce } = props
  const { assessment, isForeign, problem } = useAssessment(session, assessmentId)
  const verdict = assessment?.report?.verdict
  useEffect(() => {
    if (verdict) announce?.(`${filename}: ${VERDICTS[verdict].word}. ${VERDICTS[verdict].sentence}`)
  }, [verdict, announce, filename])

  if (isForeign) {
    return (
      <p>
        The application has received the file. Its assessment is <code>{assessmentId}</code>.
      </p>
    )
  }
  return (
    <>
      {problem && <p className="quiet">{problem}</p>}
      {assessment?.worker?.state === 'failing' && (
        <div className="trouble">
          <p>
            <strong>Assessments are not running at the moment.</strong> {assessment.worker.problem}
          </p>
          <p>The file is safe. The server assesses it as soon as it can.</p>
        </div>
      )}
      {assessment?.state === 'queued' && <p>The assessment is queued.</p>}
      {assessment?.state === 'running' && <Steps steps={assessment.steps} />}
      {assessment?.state === 'failed' && (
        <div className="trouble">
          <p>
            <strong>The assessment failed.</strong> {assessment.problem}
          </p>
          <p>The file itself is safe.</p>
        </div>
      )}
      {assessment?.report && (
        <ReportView session={session} assessmentId={assessmentId} report={assessment.report} />
      )}
      <Links {...props} report={assessment?.report ?? null} />
    </>
  )
}

function Receipt({ session, uploadId, filename, hasReceipt }: Props) {
  if (!hasReceipt) return null
  return (
    <GuardedLink session={session} path={paths.receipt(uploadId)} saveAs={`${filename}.receipt`}>
      Save the receipt
    </GuardedLink>
  )
}

function Links({ report, ...props }: Props & { report: Report | null }) {
  const { session, uploadId, assessmentId, filename } = props
  return (
    <ul className="links">
      <li>
        <GuardedLink session={session} path={paths.file(uploadId)} saveAs={filename}>
          Download the file
        </GuardedLink>
      </li>
      {props.hasReceipt && (
        <li>
          <Receipt {...props} />
        </li>
      )}
      {report && assessmentId !== null && (
        <li>
          <GuardedLink session={session} path={paths.assessment(assessmentId)}>
            Report as JSON
          </GuardedLink>
        </li>
      )}
    </ul>
  )
}

const STEP_WORDS: Record<Step['state'], string> = {
  waiting: 'waiting',
  running: 'running',
  done: 'done',
  failed: 'failed',
  skipped: 'skipped',
}

const STEP_NAMES: Record<string, string> = {
  probe: 'Reading the file',
  integrity: 'Decoding every frame',
  visual: 'Analysing the picture',
  black: 'Detecting black frames',
  freeze: 'Detecting freezes',
  audio: 'Analysing the sound',
  silence: 'Detecting silence',
  poster: 'Drawing pictures',
}

function Steps({ steps }: { steps: readonly Step[] }) {
  return (
    <section aria-label="Assessment">
      <h4>The video is being assessed</h4>
      <ol className="steps">
        {steps.map((step) => (
          <li key={step.name} className={step.state}>
            <span className="name">{STEP_NAMES[step.name] ?? step.name}</span>
            <span className="how">
              {STEP_WORDS[step.state] ?? step.state}
              {step.seconds !== null && ` in ${step.seconds.toFixed(1)} s`}
            </span>
          </li>
        ))}
      </ol>
    </section>
  )
}
