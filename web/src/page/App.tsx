/**
 * The page: choose files, watch their upload, and read their assessment.
 *
 * Rule 1: the state of an upload is kept by its card and by the server. This module knows only
 * which files were chosen, and which may start.
 */

import { useCallback, useEffect, useRef, useState } from 'react'
import { Chooser } from './Chooser'
import { KeyPanel } from './KeyPanel'
import { Finished, Unfinished } from './Known'
import { isThere, isUnfinished, paths } from './server'
import type { KnownUpload } from './server'
import type { Session } from './session'
import { SMALL, UploadCard } from './UploadCard'
import type { CardState, Item } from './UploadCard'
import { useAccess } from './useAccess'
import { useElsewhere } from './useElsewhere'
import { useKnownUploads } from './useKnownUploads'
import { plural } from './words'

/** How many small files are uploaded at once; the others wait in this browser. */
const AT_ONCE = 4
/** A larger file counts as so many, because it has two chunks in flight. */
const LARGE = 2

const MOVING: readonly CardState[] = ['starting', 'sending', 'waiting', 'retrying', 'completing']

interface Seen {
  state: CardState
  uploadId: string | null
}

export function App({ session }: { session: Session }) {
  const { key } = useAccess(session)
  const { uploads, problem, refresh } = useKnownUploads(session)
  const [items, setItems] = useState<Item[]>([])
  const [seen, setSeen] = useState<ReadonlyMap<number, Seen>>(new Map())
  const [said, announce] = useState('')
  const [meant, setMeant] = useState<KnownUpload | null>(null)
  const [notice, setNotice] = useState<string | null>(null)
  const nextId = useRef(1)
  const again = useRef<HTMLInputElement>(null)
  const heading = useRef<HTMLHeadingElement>(null)

  const latest = useRef(uploads)
  latest.current = uploads
  const add = useCallback((files: File[], meant: KnownUpload | null = null) => {
    const known = latest.current
    const more = files.map((file) => ({ id: nextId.current++, file, meant, known }))
    setItems((before) => [...before, ...more])
  }, [])
  const onFiles = useCallback(
    (files: File[], folders: string[]) => {
      add(files)
      setNotice(leftOut(files, folders))
    },
    [add],
  )

  const onChange = useCallback(
    (item: Item, state: CardState, uploadId: string | null) => {
      setSeen((before) => new Map(before).set(item.id, { state, uploadId }))
    },
    [],
  )
  const onClose = useCallback(
    (item: Item) => {
      setItems((before) => before.filter((other) => other.id !== item.id))
      setSeen((before) => new Map([...before].filter(([id]) => id !== item.id)))
      heading.current?.focus() // the button that was pressed is gone
      refresh()
    },
    [refresh],
  )

  const onCancel = async (upload: KnownUpload) => {
    try {
      await session.delete(paths.upload(upload.upload_id))
      announce(`${upload.filename} was deleted.`)
    } catch {
      announce(`${upload.filename} could not be deleted.`)
    }
    heading.current?.focus()
    refresh()
  }

  const states = items.map((item) => seen.get(item.id)?.state ?? 'queued')
  const mayStart = admit(states, items.map(({ file }) => file.size))
  const mine = new Set([...seen.values()].map((one) => one.uploadId))
  const others = uploads.filter((upload) => !mine.has(upload.upload_id))
  const unfinished = others.filter(isUnfinished)
  const elsewhere = useElsewhere(session.place.api, uploads, unfinished, refresh)
  const moving = states.filter((state) => MOVING.includes(state)).length
  // Not after each of a thousand files: what happens to them is in their cards.
  useEffect(() => {
    if (moving === 0 && seen.size > 0) refresh()
  }, [moving === 0, refresh])
  useLeavingWarning(moving > 0)
  useTitle(states, moving)

  return (
    <>
      <header className="top">
        <Boat />
        <h1 ref={heading} tabIndex={-1}>
          Wherry
        </h1>
        {key !== null && (
          <button type="button" className="plain" onClick={() => session.leave()}>
            Forget the key
          </button>
        )}
      </header>
      <main>
        <KeyPanel session={session} />
        {problem && (
          <div className="card trouble" role="alert">
            <p>
              <strong>{problem.what}</strong>
            </p>
            <p>{problem.next}</p>
          </div>
        )}
        <Chooser onFiles={onFiles} isFirst={items.length === 0} />
        {notice !== null && (
          <p className="notice" role="alert">
            {notice}
          </p>
        )}
        {items.length > 0 && (
          <section aria-labelledby="files-title">
            <h2 id="files-title" className="unseen">
              Your files
            </h2>
            {items.map((item, index) => (
              <UploadCard
                key={item.id}
                item={item}
                session={session}
                mayStart={mayStart[index] ?? false}
                onChange={onChange}
                onClose={onClose}
                announce={announce}
              />
            ))}
          </section>
        )}
        <Unfinished
          uploads={unfinished}
          elsewhere={elsewhere}
          onChoose={(upload) => {
            setMeant(upload)
            again.current?.click()
          }}
          onCancel={(upload) => void onCancel(upload)}
        />
        <Finished session={session} uploads={others.filter(isThere)} />
      </main>
      <input
        ref={again}
        type="file"
        hidden
        aria-label="The same file again"
        onChange={(event) => {
          add([...(event.target.files ?? [])], meant)
          event.target.value = ''
        }}
      />
      <p className="unseen" role="status" aria-live="polite">
        {said}
      </p>
    </>
  )
}

/** The notice after a drop that is not only files; null if everything was accepted. */
export function leftOut(files: readonly File[], folders: readonly string[]): string | null {
  if (folders.length === 1) {
    return `The folder “${folders[0]}” was skipped. Choose the files in it instead.`
  }
  if (folders.length > 1) return `${folders.length} folders were skipped. Choose the files in them instead.`
  return files.length === 0 ? 'Nothing that you dropped is a file.' : null
}

/** Which files may start: in the order of the list, while `AT_ONCE` are not yet moving. */
export function admit(states: readonly CardState[], sizes: readonly number[]): boolean[] {
  const weights = sizes.map((size) => (size <= SMALL ? 1 : LARGE))
  let moving = 0
  states.forEach((state, index) => {
    if (MOVING.includes(state)) moving += weights[index]!
  })
  return states.map((state, index) => {
    if (state !== 'queued') return true
    moving += weights[index]!
    return moving <= AT_ONCE
  })
}

/** Leaving the page interrupts uploads; to continue, the user must choose the file again. */
function useLeavingWarning(isNeeded: boolean): void {
  useEffect(() => {
    if (!isNeeded) return
    const warn = (event: BeforeUnloadEvent) => event.preventDefault()
    window.addEventListener('beforeunload', warn)
    return () => window.removeEventListener('beforeunload', warn)
  }, [isNeeded])
}

function useTitle(states: readonly CardState[], moving: number): void {
  const title =
    moving > 0
      ? `Uploading ${plural(moving, 'file')} · Wherry`
      : states.includes('done')
        ? 'Uploaded · Wherry'
        : 'Wherry: upload files'
  useEffect(() => {
    document.title = title
  }, [title])
}

function Boat() {
  return (
    <svg className="boat" viewBox="0 0 32 32" aria-hidden="true">
      <rect x="7" y="8" width="5" height="5" rx="1" />
      <rect x="13.5" y="8" width="5" height="5" rx="1" />
      <rect x="20" y="8" width="5" height="5" rx="1" />
      <path d="M3 16h26l-4.4 8H7.4z" />
    </svg>
  )
}
