/** One file on its way, from the choice to the assessment, with all that there is to say of it. */

import { memo, useEffect, useSyncExternalStore } from 'preact/compat'
import type { EarlyFinding, UploadDetails } from '../core'
import { AssessmentView } from './AssessmentView'
import { Buttons } from './Buttons'
import { t } from './language'
import { Preview } from './Preview'
import { Progress } from './Progress'
import type { Session } from './session'
import { isOver } from './uploads'
import type { Item, ItemState, Uploads } from './uploads'
import {
  duration,
  percentOf,
  refusedSentence,
  size,
  stateSentence,
  stateWord,
} from './words'
import type { Trouble } from './words'

const isUnderWay = (state: ItemState): boolean => !isOver(state) && state !== 'failed'

const HAS_PERCENT: readonly ItemState[] = ['sending', 'retrying', 'paused', 'completing', 'done']

function isOnItsWay(details: UploadDetails): boolean {
  return details.state !== 'waiting' && details.state !== 'failed'
}

interface Props {
  item: Item
  state: ItemState
  /** Both may change before it begins. */
  name: string
  isDue: boolean
  /** All are paused. */
  isHeld: boolean
  uploads: Uploads
  session: Session
  onClose(item: Item): void
  announce(sentence: string): void
}

/** Memoised: of a thousand cards, only those are rendered that change. */
export const UploadCard = memo(function UploadCard(props: Props) {
  const { item, state, name, isHeld, uploads, session, onClose, announce } = props
  const shown = useSyncExternalStore(item.upload.subscribe, item.upload.now)
  const { failure, result, uploadId, early } = shown
  const { details, trouble } = item
  const position = details?.position
  useEffect(() => {
    if (state === 'queued') return
    const sentence = trouble ? trouble.what : details ? stateSentence(details) : ''
    announce(`${name}: ${trouble ? t.state.failed : stateWord(details)}. ${sentence}`)
    // Numbers change all the time; only a new state and a new position are announced.
  }, [state, failure, position])
  const foundEarly = early?.findings.filter(({ severity }) => severity !== 'info') ?? []
  useEffect(() => {
    if (foundEarly.length === 0) return
    const messages = foundEarly.map(({ message }) => message)
    announce(`${name}: ${[t.early.found, ...messages, t.early.goesOn].join(' ')}`)
  }, [early])

  return (
    <article className={`card upload ${state}`} aria-label={name} tabIndex={-1}>
      <header>
        <Preview file={item.file} />
        <h3>
          <bdi>{name}</bdi>
        </h3>
        <p className="size">{size(item.file.size)}</p>
        {details && HAS_PERCENT.includes(state) && (
          <p className="percent" aria-hidden="true">
            {percentOf(details)} %
          </p>
        )}
      </header>
      {details && (isOnItsWay(details) || details.bytesSafe > 0) && !isOver(state) && (
        <Progress name={name} details={details} />
      )}
      {!trouble && (
        <p className="state">
          <strong>{wordOf(item)}</strong>
          <span>{details ? numbers(details) : beforeIt(item, isHeld)}</span>
        </p>
      )}
      <Notices item={item} details={details} uploadId={uploadId} />
      {foundEarly.length > 0 && isUnderWay(state) && <EarlyFindings findings={foundEarly} />}
      {trouble && <Failure trouble={trouble} />}
      {result && (
        <AssessmentView
          session={session}
          uploadId={result.upload_id}
          assessmentId={result.assessment_id}
          filename={item.called}
          hasReceipt={uploads.hasReceipts}
          sharing={uploads.sharing}
          announce={announce}
        />
      )}
      <Buttons
        {...{ item, state, uploads, onClose }}
        isLockedOut={failure?.status === 401}
      />
    </article>
  )
})

/** Its state in one or two words. */
export function wordOf(item: Item): string {
  return item.isUnstarted ? t.state.ready : stateWord(item.details)
}

function beforeIt({ isUnstarted }: Item, isHeld: boolean): string {
  if (isUnstarted) return t.state.startsOnStart
  return isHeld ? t.state.startsOnResume : t.state.startsLater
}

/** The speed and what is left, or the state in a sentence. */
function numbers(details: UploadDetails): string {
  if (details.state !== 'sending') return stateSentence(details)
  const { bytesSafe, bytesTotal, speed, secondsLeft } = details
  const parts = [bytesSafe > 0 ? t.safeOf(size(bytesSafe), size(bytesTotal)) : t.nothingYet]
  if (speed !== null && speed > 0) parts.push(t.perSecond(size(speed)))
  if (secondsLeft !== null) parts.push(t.left(duration(secondsLeft)))
  return parts.join(' · ')
}

function Notices(
  props: Pick<Props, 'item'> & {
    details: UploadDetails | null
    uploadId: string | null
  },
) {
  const { item, details, uploadId } = props
  if (details === null) return null
  const before = item.known.find((known) => known.upload_id === uploadId)
  const isKnown = item.meant === null || uploadId === null || details.chunkSize === null
  const isOther = !isKnown && item.meant!.upload_id !== uploadId
  const refused = refusedSentence(details)
  const hasDetails = item.meant === null && Object.keys(item.metadata).length > 0
  return (
    <>
      {isOther && <p className="notice">{t.state.isOther(item.meant!.filename)}</p>}
      {before && details.state !== 'cancelled' && (
        <p className="notice">
          {t.state.continued(size(before.received_bytes))}
          {hasDetails && ` ${t.state.detailsStay}`}
        </p>
      )}
      {refused && <p className="quiet">{refused}</p>}
    </>
  )
}

/** What the report will say of a video that is still on its way. */
function EarlyFindings({ findings }: { findings: readonly EarlyFinding[] }) {
  return (
    <div className="notice">
      <p>
        <strong>{t.early.found}</strong>
      </p>
      <ul>
        {findings.map(({ code, message }) => (
          <li key={`${code} ${message}`}>
            <bdi>{message}</bdi>
          </li>
        ))}
      </ul>
      <p>{t.early.goesOn}</p>
    </div>
  )
}

function Failure({ trouble }: { trouble: Trouble }) {
  return (
    <div className="trouble">
      <p>
        <strong>{trouble.what}</strong>
      </p>
      <p>{trouble.safe}</p>
      <p>{trouble.next}</p>
    </div>
  )
}
