/**
 * Many files: a list of limited height, a row for each file, and the whole card of the one that is
 * open. What is over is folded into one row at its end.
 *
 * Rule 1: of a thousand rows, only those on the screen are in the document, and the one with the focus.
 *
 * Rule 2: no row leaves its place while it has the focus or is open.
 */

import { memo, useEffect, useLayoutEffect, useRef, useState, useSyncExternalStore } from 'preact/compat'
import type { ReactNode } from 'preact/compat'
import { KeepFocus, MainAct } from './Buttons'
import { t } from './language'
import { Preview } from './Preview'
import { Progress } from './Progress'
import type { Session } from './session'
import { UploadCard, wordOf } from './UploadCard'
import { isOver, isStopped } from './uploads'
import type { Item, ItemState, Uploads } from './uploads'
import { heightOf, rowsIn, topOf } from './windowing'
import type { Layout } from './windowing'
import { percentOf, size } from './words'

/** The height of a row, as in page.css, in rem. */
const ROW = 4

const FOLD = 'fold'
type Entry = Item | typeof FOLD
const keyOf = (entry: Entry) => (entry === FOLD ? FOLD : entry.id)

interface Props {
  items: readonly Item[]
  uploads: Uploads
  session: Session
  onClose(item: Item): void
  announce(sentence: string): void
}

export function UploadList({ items, uploads, session, onClose, announce }: Props) {
  const [openId, setOpenId] = useState<number | null>(null)
  const [isUnfolded, setUnfolded] = useState(false)
  const [focused, setFocused] = useState<number | typeof FOLD | null>(null)
  const [extra, setExtra] = useState(0)
  const entries = entriesOf(items, isUnfolded, (item) => item.id === openId || item.id === focused)
  const indexOf = (key: number | typeof FOLD | null) => {
    const index = entries.findIndex((entry) => keyOf(entry) === key)
    return index < 0 ? null : index
  }
  const open = indexOf(openId)
  const row = ROW * (parseFloat(getComputedStyle(document.documentElement).fontSize) || 16)
  const layout: Layout = { count: entries.length, row, open, extra: open === null ? 0 : extra }
  const { place, top, height } = useScrolled()
  const rows = rowsIn(layout, top, height, indexOf(focused))
  useSpokenTotals(items, announce)
  return (
    <div
      ref={place}
      className="card list"
      onFocusIn={(event) => setFocused(keyAt(event.target as Element))}
      onFocusOut={(event) => {
        if (!event.currentTarget.contains(event.relatedTarget as Node | null)) setFocused(null)
      }}
    >
      <ul style={{ height: heightOf(layout) }} role="list">
        {rows.map((index) => {
          const entry = entries[index]!
          return (
            <li
              key={keyOf(entry)}
              data-key={keyOf(entry)}
              aria-posinset={index + 1}
              aria-setsize={entries.length}
              style={{ top: topOf(layout, index) }}
            >
              {entry === FOLD ? (
                <Fold items={items} isOpen={isUnfolded} onToggle={() => setUnfolded(!isUnfolded)} />
              ) : (
                <>
                  <Row
                    {...{ item: entry, state: entry.state, uploads }}
                    name={entry.name}
                    isDue={entry.isDue}
                    isOpen={entry.id === openId}
                    onToggle={setOpenId}
                  />
                  {entry.id === openId && (
                    <Measured onHeight={setExtra}>
                      <UploadCard
                        {...{ item: entry, state: entry.state, uploads, session, announce }}
                        name={entry.name}
                        isDue={entry.isDue}
                        isHeld={uploads.isHeld}
                        onClose={onClose}
                      />
                    </Measured>
                  )}
                </>
              )}
            </li>
          )
        })}
      </ul>
    </div>
  )
}

/** Those that have stopped come first, those that are over last. `stays`: it is not folded. */
function entriesOf(
  items: readonly Item[],
  isUnfolded: boolean,
  stays: (item: Item) => boolean,
): Entry[] {
  const stopped: Item[] = []
  const open: Item[] = []
  const over: Item[] = []
  for (const item of items) {
    if (isOver(item.state) && !stays(item)) over.push(item)
    else if (isStopped(item.state)) stopped.push(item)
    else open.push(item)
  }
  if (over.length === 0) return [...stopped, ...open]
  return [...stopped, ...open, FOLD, ...(isUnfolded ? over : [])]
}

function keyAt(element: Element): number | typeof FOLD | null {
  const key = element.closest<HTMLElement>('li[data-key]')?.dataset.key
  if (key === undefined) return null
  return key === FOLD ? FOLD : Number(key)
}

interface RowProps {
  item: Item
  state: ItemState
  /** Both may change before it begins. */
  name: string
  isDue: boolean
  uploads: Uploads
  isOpen: boolean
  /** With the id of the row to open; null for none. */
  onToggle(id: number | null): void
}

/** Memoised: only rows that change are rendered. */
const Row = memo(function Row({ item, state, name, uploads, isOpen, onToggle }: RowProps) {
  const { failure } = useSyncExternalStore(item.upload.subscribe, item.upload.now)
  const { details, trouble } = item
  const isFinal = trouble?.isFinal ?? false
  const hasBar = details !== null && !isOver(state) && state !== 'waiting'
  const number = hasBar && state !== 'starting' ? ` · ${percentOf(details)} %` : ''
  return (
    <div className={`row ${state}`}>
      <Preview file={item.file} />
      <button
        type="button"
        className="toggle"
        aria-expanded={isOpen}
        onClick={() => onToggle(isOpen ? null : item.id)}
      >
        <bdi className="name">{name}</bdi>
        <span className="how">
          {trouble ? trouble.what : `${wordOf(item)}${number} · ${size(item.file.size)}`}
        </span>
      </button>
      {!isOpen && (
        <KeepFocus>
          <MainAct
            {...{ item, state, uploads }}
            mayTryAgain={!isFinal && failure?.status !== 401}
          />
        </KeepFocus>
      )}
      {hasBar && !isOpen && <Progress name={name} details={details} isThin />}
    </div>
  )
})

function Fold(props: { items: readonly Item[]; isOpen: boolean; onToggle(): void }) {
  const { items, isOpen, onToggle } = props
  const count = (state: ItemState) => items.filter((item) => item.state === state).length
  const cancelled = count('cancelled')
  const done = count('done')
  return (
    <div className="row fold">
      <button type="button" className="toggle" aria-expanded={isOpen} onClick={onToggle}>
        <span className="name">
          {cancelled > 0 ? t.all.foldedCancelled(done, cancelled) : t.all.folded(done)}
        </span>
      </button>
    </div>
  )
}

/** Tells how tall its content is, whenever that changes. */
function Measured({ onHeight, children }: { onHeight(pixels: number): void; children: ReactNode }) {
  const place = useRef<HTMLDivElement>(null)
  useLayoutEffect(() => {
    const element = place.current!
    const observer = new ResizeObserver(() => onHeight(element.offsetHeight))
    observer.observe(element)
    onHeight(element.offsetHeight)
    element.parentElement!.scrollIntoView?.({ block: 'nearest' })
    return () => observer.disconnect()
  }, [onHeight])
  return <div ref={place}>{children}</div>
}

/** Where the list is scrolled to, and how much of it is seen. */
function useScrolled() {
  const place = useRef<HTMLDivElement>(null)
  const [seen, setSeen] = useState({ top: 0, height: 0 })
  useLayoutEffect(() => {
    const element = place.current!
    const look = () => {
      const { scrollTop: top, clientHeight: height } = element
      setSeen((before) => (before.top === top && before.height === height ? before : { top, height }))
    }
    look()
    const observer = new ResizeObserver(look)
    observer.observe(element)
    element.addEventListener('scroll', look, { passive: true })
    return () => {
      observer.disconnect()
      element.removeEventListener('scroll', look)
    }
  }, [])
  return { place, ...seen }
}

/** A thousand files are not announced one by one: those that stop are, and the end of all. */
function useSpokenTotals(items: readonly Item[], announce: (sentence: string) => void): void {
  const stopped = items.filter((item) => isStopped(item.state) && item.trouble !== null)
  const done = items.filter((item) => item.state === 'done').length
  const isEnd = items.every(({ state }) => isOver(state) || isStopped(state))
  const spoken = useRef(0)
  useEffect(() => {
    const last = stopped.at(-1)
    if (stopped.length > spoken.current && last) {
      announce(`${t.all.filesStopped(stopped.length)} ${last.name}: ${last.trouble?.what ?? ''}`)
    }
    spoken.current = stopped.length
  }, [stopped.length])
  useEffect(() => {
    if (isEnd) announce(`${t.all.uploaded(done, items.length)}.`)
  }, [isEnd])
}
