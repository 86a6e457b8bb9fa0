/** All files of the page in one line, with what can be done to all of them. */

import { useState } from 'preact/compat'
import { Act, KeepFocus } from './Buttons'
import { ConfirmDelete } from './ConfirmDelete'
import type { Asking } from './ConfirmDelete'
import { useTotals } from './totals'
import type { Totals } from './totals'
import { isMoving } from './uploads'
import type { Item, ItemState, Uploads } from './uploads'
import { duration, plural, size } from './words'

/** For fewer files, there is nothing to add up. */
export const SEVERAL = 2

interface Props {
  items: readonly Item[]
  uploads: Uploads
  isOnline: boolean
  /** So few files are left that this bar goes, and its buttons with it. */
  onGone(): void
}

export function StatusBar({ items, uploads, isOnline, onGone }: Props) {
  const totals = useTotals(items)
  const { bytes, bytesSent, done, files } = totals
  const share = bytes > 0 ? bytesSent / bytes : files > 0 ? done / files : 0
  // Not 100 before the last file is there.
  const percent = Math.min(Math.floor(100 * share), done < files ? 99 : 100)
  return (
    <section className="card status" aria-label="All files">
      <p className="state">
        <strong>{`${done} of ${plural(files, 'file')} uploaded`}</strong>
        <span>{summary(totals, isOnline, uploads.isHeld)}</span>
      </p>
      <progress max={100} value={percent} aria-label="All files" />
      <AllButtons {...{ items, uploads, onGone }} bytesKept={totals.bytesKept} />
    </section>
  )
}

/** `34 MiB of 210 MiB · 5.2 MiB a second · 40 seconds left · 2 stopped` */
function summary(totals: Totals & { speed: number | null }, isOnline: boolean, isHeld: boolean) {
  const { bytes, bytesSent, done, files, speed, stopped } = totals
  const parts = bytes > 0 ? [`${size(bytesSent)} of ${size(bytes)}`] : []
  if (done + stopped < files) {
    if (isHeld) parts.push('Paused')
    else if (!isOnline) parts.push('Offline')
    else if (speed) {
      parts.push(`${size(speed)} a second`, `${duration((bytes - bytesSent) / speed)} left`)
    }
  }
  if (stopped > 0) parts.push(`${stopped} stopped`)
  return parts.join(' · ')
}

/** Those that there is nothing to cancel of. */
const OVER: readonly ItemState[] = ['done', 'cancelled', 'refused']

interface AllButtonsProps {
  items: readonly Item[]
  uploads: Uploads
  bytesKept: number
  onGone(): void
}

function AllButtons({ items, uploads, bytesKept, onGone }: AllButtonsProps) {
  const [asking, setAsking] = useState<Asking>('not yet')
  const isGoing = items.some(({ state }) => isMoving(state) || state === 'queued')
  const isPaused = uploads.isHeld || items.some(({ state }) => state === 'paused')
  const open = items.filter(({ state }) => state !== 'completing' && !OVER.includes(state))
  const again = items.some((item) => item.state === 'failed' && !item.trouble?.isFinal)
  if (asking === 'now' && open.length > 0) {
    const arrived = bytesKept > 0 ? ` and delete the ${size(bytesKept)} that arrived` : ''
    return (
      <KeepFocus>
        <ConfirmDelete
          question={`Cancel ${plural(open.length, 'upload')}${arrived}?`}
          keep="Keep them"
          filename="all files"
          onKeep={() => setAsking('kept')}
          onDelete={() => {
            setAsking('not yet')
            void uploads.cancelAll()
            if (uploads.now().length < SEVERAL) onGone()
          }}
        />
      </KeepFocus>
    )
  }
  return (
    <KeepFocus>
      <div className="buttons">
        {isGoing && !uploads.isHeld ? (
          <Act on={() => uploads.pauseAll()} words="Pause all" name="files" />
        ) : (
          isPaused && <Act on={() => uploads.resumeAll()} words="Resume all" name="files" primary />
        )}
        {again && <Act on={() => uploads.againAll()} words="Try all again" name="" />}
        {open.length > 0 && (
          <Act
            on={() => setAsking('now')}
            words="Cancel all"
            name="files"
            takesFocus={asking === 'kept'}
          />
        )}
        {items.some(({ state }) => OVER.includes(state)) && (
          <Act
            on={() => {
              uploads.clearFinished()
              if (uploads.now().length < SEVERAL) onGone()
            }}
            words="Clear finished"
            name="files"
          />
        )}
      </div>
    </KeepFocus>
  )
}
