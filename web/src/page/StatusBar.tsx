/** All files of the page in one line, with what can be done to all of them. */

import { useState } from 'preact/compat'
import { Act, KeepFocus } from './Buttons'
import { ConfirmDelete } from './ConfirmDelete'
import type { Asking } from './ConfirmDelete'
import { t } from './language'
import { useTotals } from './totals'
import type { Totals } from './totals'
import { isMoving } from './uploads'
import type { Item, ItemState, Uploads } from './uploads'
import { duration, size } from './words'

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
    <section className="card status" aria-label={t.all.label}>
      <p className="state">
        <strong>{t.all.uploaded(done, files)}</strong>
        <span>{summary(totals, isOnline, uploads.isHeld)}</span>
      </p>
      <progress max={100} value={percent} aria-label={t.all.label} />
      <AllButtons {...{ items, uploads, onGone }} bytesKept={totals.bytesKept} />
    </section>
  )
}

/** `34 MiB of 210 MiB · 5.2 MiB a second · 40 seconds left · 2 stopped` */
function summary(totals: Totals & { speed: number | null }, isOnline: boolean, isHeld: boolean) {
  const { bytes, bytesSent, done, files, speed, stopped } = totals
  const parts = bytes > 0 ? [t.ofTotal(size(bytesSent), size(bytes))] : []
  if (done + stopped < files) {
    if (isHeld) parts.push(t.state.paused)
    else if (!isOnline) parts.push(t.all.offline)
    else if (speed) {
      parts.push(t.perSecond(size(speed)), t.left(duration((bytes - bytesSent) / speed)))
    }
  }
  if (stopped > 0) parts.push(t.all.stopped(stopped))
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
  const isGoing = items.some((item) => isMoving(item.state) || (item.state === 'queued' && item.isDue))
  const isWaiting = items.some(({ isUnstarted }) => isUnstarted)
  const isPaused = uploads.isHeld || items.some(({ state }) => state === 'paused')
  const open = items.filter(({ state }) => state !== 'completing' && !OVER.includes(state))
  const again = items.some((item) => item.state === 'failed' && !item.trouble?.isFinal)
  if (asking === 'now' && open.length > 0) {
    const question =
      bytesKept > 0
        ? t.buttons.cancelManyAndDelete(open.length, size(bytesKept))
        : t.buttons.cancelMany(open.length)
    return (
      <KeepFocus>
        <ConfirmDelete
          question={question}
          keep={t.buttons.keepThem}
          filename={t.buttons.allFiles}
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
        {isGoing && !uploads.isHeld && (
          <Act on={() => uploads.pauseAll()} words={t.buttons.pauseAll} name={t.buttons.files} />
        )}
        {(isWaiting || (isPaused && (uploads.isHeld || !isGoing))) && (
          <Act
            on={() => uploads.resumeAll()}
            words={isPaused ? t.buttons.resumeAll : t.buttons.startAll}
            name={t.buttons.files}
            primary
          />
        )}
        {again && <Act on={() => uploads.againAll()} words={t.buttons.tryAllAgain} name="" />}
        {open.length > 0 && (
          <Act
            on={() => setAsking('now')}
            words={t.buttons.cancelAll}
            name={t.buttons.files}
            takesFocus={asking === 'kept'}
          />
        )}
        {items.some(({ state }) => OVER.includes(state)) && (
          <Act
            on={() => {
              uploads.clearFinished()
              if (uploads.now().length < SEVERAL) onGone()
            }}
            words={t.buttons.clear}
            name={t.buttons.files}
          />
        )}
      </div>
    </KeepFocus>
  )
}
