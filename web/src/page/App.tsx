/**
 * The page: choose files, watch their upload, and read their assessment.
 *
 * Rule 1: the state of an upload is kept by `Uploads` and by the server, and by nothing here.
 */

import { useCallback, useEffect, useRef, useState, useSyncExternalStore } from 'preact/compat'
import { useAccepted } from './accepted'
import { Boat } from './Boat'
import { CheckConnection } from './CheckConnection'
import { Chooser } from './Chooser'
import { fromDialog, leftOut, takeAsMeant } from './folders'
import type { Chosen, Gathered } from './folders'
import { GuestLinks } from './GuestLinks'
import { GuestNotice } from './GuestNotice'
import { KeyPanel } from './KeyPanel'
import { Finished, Unfinished } from './Known'
import { t } from './language'
import { shownName } from './names'
import { OPERATOR, OperatorView, useFragment } from './OperatorView'
import { isThere, isUnfinished, paths } from './server'
import type { KnownUpload } from './server'
import type { Session } from './session'
import { isMoving, Uploads } from './uploads'
import type { Item } from './uploads'
import { useAccess } from './useAccess'
import { useComeback } from './useComeback'
import { useElsewhere } from './useElsewhere'
import { useKnownUploads } from './useKnownUploads'
import { useOnline } from './useOnline'
import { named, size } from './words'
import { YourFiles } from './YourFiles'

export function App({ session }: { session: Session }) {
  const { key } = useAccess(session)
  const known = useKnownUploads(session)
  const { uploads: onServer, problem, refresh } = known
  const [uploads] = useState(() => new Uploads(session))
  const [waits, setWaits] = useState(uploads.waits)
  const items = useSyncExternalStore(uploads.subscribe, uploads.now)
  const isOnline = useOnline()
  const isOperators = useFragment() === OPERATOR && !session.isGuest
  const [said, announce] = useState('')
  const [meant, setMeant] = useState<KnownUpload | null>(null)
  const [notice, setNotice] = useState<string | null>(null)
  const again = useRef<HTMLInputElement>(null)
  const heading = useRef<HTMLHeadingElement>(null)
  // Where the focus goes when the button that was pressed is gone.
  const toHeading = useCallback(() => heading.current?.focus(), [])

  const moving = items.filter((item) => isMoving(item.state)).length
  const { accepted, refusal } = useAccepted(session, moving > 0)
  useEffect(() => uploads.open(), [uploads])
  useEffect(() => uploads.accept(accepted), [uploads, accepted])

  const latest = useRef(onServer)
  latest.current = onServer
  const add = useCallback(
    (chosen: Chosen[], meant: KnownUpload | null, more: string | null) => {
      const twice = uploads.add(chosen, latest.current, meant).map(({ path }) => path)
      const said = named(twice, t.app.alreadyListed)
      setNotice([said, more].filter((sentence) => sentence !== null).join(' ') || null)
    },
    [uploads],
  )
  const onFiles = useCallback(
    (gathered: Gathered) => add(gathered.chosen, null, leftOut(gathered)),
    [add],
  )
  const onClose = useCallback(
    (item: Item) => {
      uploads.remove(item)
      toHeading()
      refresh()
    },
    [uploads, toHeading, refresh],
  )

  const onCancel = async (upload: KnownUpload) => {
    try {
      await session.delete(paths.upload(upload.upload_id))
      announce(t.app.wasDeleted(upload.filename))
    } catch {
      announce(t.app.notDeleted(upload.filename))
    }
    toHeading()
    refresh()
  }

  const onForgetKey = () => {
    comeback.forget()
    session.leave()
  }
  const onGoOn = async (upload: KnownUpload) => {
    setNotice(null)
    if (await comeback.goOn(upload)) toHeading()
  }

  const mine = new Set(items.map((item) => item.sentAs))
  const others = onServer.filter((upload) => !mine.has(upload.upload_id))
  const unfinished = others.filter(isUnfinished)
  const elsewhere = useElsewhere(session.place.api, onServer, unfinished, refresh)
  const comeback = useComeback({ session, uploads, known, elsewhere, tell: setNotice })
  // Not after each of a thousand files: what happens to them is in their cards.
  useEffect(() => {
    if (moving === 0 && items.length > 0) refresh()
  }, [moving === 0, refresh])
  useLeavingWarning(items.some(({ state }) => isMoving(state) || state === 'queued'))
  useTitle(items, moving)
  const wasOperators = useRef(isOperators)
  useEffect(() => {
    if (wasOperators.current && !isOperators) toHeading() // the link that was followed is gone
    wasOperators.current = isOperators
  }, [isOperators])

  return (
    <>
      <header className="top">
        <Boat />
        <h1 ref={heading} tabIndex={-1}>
          Wherry
        </h1>
        {isOperators ? (
          <a href="#">{t.app.toUploads}</a>
        ) : (
          accepted.operator && <a href={OPERATOR}>{t.app.toOperator}</a>
        )}
        {key !== null && !session.isGuest && (
          <button type="button" className="plain" onClick={onForgetKey}>
            {t.app.forgetKey}
          </button>
        )}
      </header>
      <main>
        <KeyPanel session={session} />
        {problem && isOnline && (
          <div className="card trouble" role="alert">
            <p>
              <strong>{problem.what}</strong>
            </p>
            <p>{problem.next}</p>
          </div>
        )}
        {!isOnline && (
          <p className="notice offline" role="alert">
            {t.app.offline}
          </p>
        )}
        {isOperators ? (
          <OperatorView {...{ session, announce }} />
        ) : (
          <>
            <GuestNotice {...{ refusal }} ticket={accepted.ticket} />
            <Chooser
              {...{ onFiles, accepted, waits }}
              onWaits={(waits) => setWaits((uploads.waits = waits))}
              isFirst={items.length === 0}
            />
            {notice !== null && (
              <p className="notice" role="alert">
                {notice}
              </p>
            )}
            <YourFiles
              {...{ items, uploads, session, isOnline, onClose, announce }}
              onGone={toHeading}
            />
            <Unfinished
              uploads={unfinished}
              elsewhere={elsewhere}
              offered={comeback.offered}
              onGoOn={(upload) => void onGoOn(upload)}
              onChoose={(upload) => {
                setMeant(upload)
                again.current?.click()
              }}
              onCancel={(upload) => void onCancel(upload)}
            />
            <Finished {...{ session, accepted }} uploads={others.filter(isThere)} />
            {accepted.guests && <GuestLinks {...{ session, announce }} />}
            {!session.isGuest && <CheckConnection {...{ session, announce }} />}
          </>
        )}
      </main>
      <input
        ref={again}
        type="file"
        hidden
        aria-label={t.app.sameFile}
        onChange={(event) => {
          const chosen = fromDialog(event.currentTarget.files ?? [])
          event.currentTarget.value = ''
          const other = chosen.find(({ file }) => meant?.size != null && file.size !== meant.size)
          if (other) setNotice(isOther(other.file, meant!))
          else if (meant) void takeAsMeant(chosen, meant).then((taken) => add(taken, meant, null))
        }}
      />
      <p className="unseen" role="status" aria-live="polite">
        {said}
      </p>
    </>
  )
}

function isOther(file: File, meant: KnownUpload): string {
  return t.app.notSameFile(shownName(file.name), meant.filename, size(file.size), size(meant.size!))
}

/** Leaving the page interrupts uploads, and only some of them come back by themselves. */
function useLeavingWarning(isNeeded: boolean): void {
  useEffect(() => {
    if (!isNeeded) return
    const warn = (event: BeforeUnloadEvent) => event.preventDefault()
    window.addEventListener('beforeunload', warn)
    return () => window.removeEventListener('beforeunload', warn)
  }, [isNeeded])
}

function useTitle(items: readonly Item[], moving: number): void {
  const title =
    moving > 0
      ? t.app.titleUploading(moving)
      : items.some(({ state }) => state === 'done')
        ? t.app.titleDone
        : t.app.title
  useEffect(() => {
    document.title = title
  }, [title])
}
