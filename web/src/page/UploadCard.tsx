/**
 * One file on its way, from the choice to the assessment.
 *
 * Rule 1: the card acts by itself in two cases only: it starts when it may, and it continues
 * after a 401 when there is a new key.
 */

import { memo, useEffect, useRef, useState } from 'react'
import type { UploadDetails } from '../core'
import { useUpload } from '../react'
import { AssessmentView } from './AssessmentView'
import { ChunkMap } from './ChunkMap'
import { ConfirmDelete } from './ConfirmDelete'
import type { Asking } from './ConfirmDelete'
import type { KnownUpload } from './server'
import type { Session } from './session'
import { useAccess } from './useAccess'
import {
  chunks,
  duration,
  mapSentence,
  plural,
  refusedSentence,
  size,
  stateSentence,
  stateWord,
  trouble,
} from './words'
import type { Trouble } from './words'

/** At most two large files at a time: a browser has six connections to a server. */
const CHUNKS_AT_ONCE = 2
/** The largest file that goes in one request, in bytes. */
export const SMALL = 5 * 1024 * 1024

export type CardState = UploadDetails['state'] | 'queued'

const HAS_PERCENT: readonly CardState[] = ['sending', 'retrying', 'paused', 'completing', 'done']
const IS_OVER: readonly CardState[] = ['done', 'cancelled']

function isOnItsWay(details: UploadDetails): boolean {
  return details.state !== 'waiting' && details.state !== 'failed'
}

/** A file that was chosen. */
export interface Item {
  id: number
  file: File
  /** The unfinished upload that it was chosen for. */
  meant: KnownUpload | null
  /** The server's uploads when it was chosen. */
  known: readonly KnownUpload[]
}

interface Props {
  item: Item
  session: Session
  mayStart: boolean
  onChange(item: Item, state: CardState, uploadId: string | null): void
  onClose(item: Item): void
  announce(sentence: string): void
}

/** Memoised: of a thousand cards, only those are rendered that change. */
export const UploadCard = memo(function UploadCard(props: Props) {
  const { item, session, mayStart, onChange, announce } = props
  const access = useAccess(session)
  const upload = useUpload({
    endpoint: session.place.api,
    headers: session.headers,
    concurrency: CHUNKS_AT_ONCE,
    ...inChunks(item),
  })
  const { failure, result, uploadId } = upload
  const details = upload.details && calmed(upload.details)
  const state: CardState = details?.state ?? 'queued'
  const round = useRef(0)

  const { start, again } = upload
  useEffect(() => {
    if (mayStart && upload.file === null) {
      round.current = session.now().round
      start(item.file)
    }
  }, [mayStart, upload.file, start, item.file, session])

  useEffect(() => onChange(item, state, uploadId), [item, state, uploadId, onChange])

  const isLockedOut = failure?.status === 401
  useEffect(() => {
    if (!isLockedOut) return
    session.refused(round.current)
    const now = session.now()
    if (!now.isWanted) {
      round.current = now.round
      again()
    }
  }, [isLockedOut, access, session, again])

  const problem = failure && trouble(failure, details)
  const position = details?.position
  useEffect(() => {
    if (details === null) return
    const sentence = problem ? problem.what : stateSentence(details)
    announce(`${item.file.name}: ${stateWord(details)}. ${sentence}`)
    // Numbers change all the time; only a new state and a new position are announced.
  }, [state, failure, position])

  return (
    <article className={`card upload ${state}`} aria-label={item.file.name}>
      <header>
        <h3>{item.file.name}</h3>
        <p className="size">{size(item.file.size)}</p>
        {details && HAS_PERCENT.includes(state) && (
          <p className="percent" aria-hidden="true">
            {Math.floor(upload.percent)} %
          </p>
        )}
      </header>
      {details && (isOnItsWay(details) || details.bytesSafe > 0) && !IS_OVER.includes(state) && (
        <Progress name={item.file.name} percent={upload.percent} details={details} />
      )}
      {!problem && (
        <p className="state">
          <strong>{stateWord(details)}</strong>
          <span>
            {details ? numbers(details) : 'Starts when one of the files above is done.'}
          </span>
        </p>
      )}
      <Notices item={item} details={details} uploadId={uploadId} />
      {problem && <Failure trouble={problem} />}
      {result && (
        <AssessmentView
          session={session}
          uploadId={result.upload_id}
          assessmentId={result.assessment_id}
          filename={item.file.name}
          announce={announce}
        />
      )}
      <Buttons
        {...props}
        upload={upload}
        state={state}
        mayTryAgain={!isLockedOut && !problem?.isFinal}
        bytesKept={problem?.isFinal ? 0 : (details?.bytesSafe ?? 0)}
      />
    </article>
  )
})

/** Only an upload in chunks continues an unfinished one, so a small file goes in two. */
function inChunks({ file, meant }: Item): { chunkSize?: number } {
  return meant && file.size <= SMALL ? { chunkSize: Math.ceil(file.size / 2) } : {}
}

/** A paused or failed upload has no chunks in flight. */
function calmed(details: UploadDetails): UploadDetails {
  const isCalm = details.state === 'paused' || details.state === 'failed'
  return isCalm ? { ...details, sending: [] } : details
}

/** The speed and what is left, or the state in a sentence. */
function numbers(details: UploadDetails): string {
  if (details.state !== 'sending') return stateSentence(details)
  const { bytesSafe, bytesTotal, speed, secondsLeft } = details
  const parts = [bytesSafe > 0 ? `${size(bytesSafe)} of ${size(bytesTotal)} safe` : 'Nothing has arrived yet']
  if (speed !== null && speed > 0) parts.push(`${size(speed)} a second`)
  if (secondsLeft !== null) parts.push(`${duration(secondsLeft)} left`)
  return parts.join(' · ')
}

function Progress(props: { name: string; percent: number; details: UploadDetails }) {
  const { name, percent, details } = props
  const whole = Math.floor(percent)
  const { done, onTheWay, toCome } = chunks(details)
  return (
    <>
      <progress max={100} value={whole} aria-label={`${name}: ${whole} percent uploaded`} />
      {details.chunksTotal > 0 && (
        <div>
          <ChunkMap
            total={details.bytesTotal}
            safe={details.safe}
            sending={details.sending}
            chunkSize={details.chunkSize}
            label={mapSentence(details)}
          />
          <ul className="legend" aria-hidden="true">
            <li className="safe">{plural(done, 'chunk')} safe</li>
            <li className="sending">{onTheWay} on the way</li>
            <li className="to-come">{toCome} to come</li>
          </ul>
        </div>
      )}
    </>
  )
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
  return (
    <>
      {isOther && (
        <p className="notice">
          This is not the file of the unfinished upload “{item.meant!.filename}”. It is uploaded as
          a new file, and the unfinished upload is kept.
        </p>
      )}
      {before && details.state !== 'cancelled' && (
        <p className="notice">
          Continuing an earlier upload: {size(before.received_bytes)} were safe already.
        </p>
      )}
      {refused && <p className="quiet">{refused}</p>}
    </>
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

function Buttons(
  props: Pick<Props, 'item' | 'onClose'> & {
    upload: ReturnType<typeof useUpload>
    state: CardState
    mayTryAgain: boolean
    /** The bytes on the server that ending the upload would delete. */
    bytesKept: number
  },
) {
  const { item, onClose, upload, state, mayTryAgain, bytesKept } = props
  const [asking, setAsking] = useState<Asking>('not yet')
  const name = item.file.name
  const isMoving = state === 'starting' || state === 'sending' || state === 'retrying'
  const isOpen = isMoving || state === 'waiting' || state === 'paused'
  const isOver = state === 'queued' || state === 'done' || state === 'cancelled'
  const end = async () => {
    await upload.cancel()
    if (state === 'failed') onClose(item)
  }
  if (asking === 'now' && (isOpen || state === 'failed')) {
    return (
      <ConfirmDelete
        question={`Cancel the upload and delete the ${size(bytesKept)} that arrived?`}
        keep={isMoving || state === 'waiting' ? 'Keep uploading' : 'Keep it'}
        filename={name}
        onKeep={() => setAsking('kept')}
        onDelete={() => {
          setAsking('not yet')
          void end()
        }}
      />
    )
  }
  const endOrAsk = {
    on: () => (bytesKept > 0 ? setAsking('now') : void end()),
    autoFocus: asking === 'kept',
    name,
  }
  return (
    <div className="buttons">
      {isMoving && <Act on={upload.pause} words="Pause" name={name} />}
      {state === 'paused' && <Act on={upload.resume} words="Resume" name={name} primary />}
      {state === 'failed' && mayTryAgain && (
        <Act on={upload.again} words="Try again" name={name} primary />
      )}
      {isOpen && <Act {...endOrAsk} words={state === 'waiting' ? 'Leave the queue' : 'Cancel'} />}
      {state === 'failed' && (
        <Act {...endOrAsk} words={mayTryAgain ? 'Give up' : 'Remove from list'} />
      )}
      {isOver && <Act on={() => onClose(item)} words="Remove from list" name={name} />}
    </div>
  )
}

interface ActProps {
  on(): void
  words: string
  name: string
  primary?: boolean
  autoFocus?: boolean
}

/** A button. Screen readers get the file name with it. */
function Act({ on, words, name, primary = false, autoFocus = false }: ActProps) {
  return (
    <button type="button" className={primary ? 'primary' : ''} autoFocus={autoFocus} onClick={on}>
      {words}
      <span className="unseen"> {name}</span>
    </button>
  )
}
