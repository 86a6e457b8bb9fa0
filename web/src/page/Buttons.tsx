/**
 * The buttons of one upload.
 *
 * Rule 1: when a button takes the place of another, it takes its focus, too.
 */

import { Component, createRef, useState } from 'preact/compat'
import type { ReactNode } from 'preact/compat'
import { ConfirmDelete } from './ConfirmDelete'
import type { Asking } from './ConfirmDelete'
import { EditDetails } from './EditDetails'
import { t } from './language'
import { takeFocus } from './takeFocus'
import { isOver } from './uploads'
import type { Item, ItemState, Uploads } from './uploads'
import { size } from './words'

interface ButtonsProps {
  item: Item
  state: ItemState
  uploads: Uploads
  /** Whether a new key or login is waited for: then it goes on by itself. */
  isLockedOut: boolean
  onClose(item: Item): void
}

export function Buttons({ item, state, uploads, isLockedOut, onClose }: ButtonsProps) {
  const [asking, setAsking] = useState<Asking>('not yet')
  const [editing, setEditing] = useState<Asking>('not yet')
  const { name, upload } = item
  const isRunning = state === 'starting' || state === 'sending' || state === 'retrying'
  const isOpen = isRunning || state === 'waiting' || state === 'paused'
  const isFinal = item.trouble?.isFinal ?? false
  const mayTryAgain = !isLockedOut && !isFinal
  const bytesKept = isFinal ? 0 : (upload.now().details?.bytesSafe ?? 0)
  const end = async () => {
    await upload.cancel()
    if (state === 'failed') onClose(item)
  }
  if (asking === 'now' && (isOpen || state === 'failed')) {
    return (
      <KeepFocus>
        <ConfirmDelete
          question={t.buttons.cancelAndDelete(size(bytesKept))}
          keep={isRunning || state === 'waiting' ? t.buttons.keepUploading : t.buttons.keepIt}
          filename={name}
          onKeep={() => setAsking('kept')}
          onDelete={() => {
            setAsking('not yet')
            void end()
          }}
        />
      </KeepFocus>
    )
  }
  if (editing === 'now' && item.mayBeEdited) {
    return (
      <KeepFocus>
        <EditDetails {...{ item, uploads }} onClose={() => setEditing('kept')} />
      </KeepFocus>
    )
  }
  const close = { on: () => onClose(item), words: t.buttons.remove, name }
  const endOrAsk = {
    on: () => (bytesKept > 0 ? setAsking('now') : void end()),
    takesFocus: asking === 'kept',
    name,
  }
  return (
    <KeepFocus>
      <div className="buttons">
        <MainAct {...{ item, state, uploads }} mayTryAgain={mayTryAgain} />
        {isOpen && <Act {...endOrAsk} words={state === 'waiting' ? t.buttons.leaveQueue : t.buttons.cancel} />}
        {state === 'failed' && (
          <Act {...endOrAsk} words={mayTryAgain ? t.buttons.giveUp : t.buttons.remove} />
        )}
        {item.mayBeEdited && (
          <Act
            on={() => setEditing('now')}
            words={t.edit.button}
            name={name}
            takesFocus={editing === 'kept'}
          />
        )}
        {(isOver(state) || state === 'queued' || state === 'refused') && <Act {...close} />}
      </div>
    </KeepFocus>
  )
}

interface MainActProps {
  item: Item
  state: ItemState
  uploads: Uploads
  mayTryAgain: boolean
}

/** What one most likely wants to do with an upload in this state; nothing for some states. */
export function MainAct({ item, state, uploads, mayTryAgain }: MainActProps) {
  const { name, upload } = item
  switch (state) {
    case 'queued':
      return item.isDue ? null : (
        <Act on={() => uploads.start(item)} words={t.buttons.start} name={name} primary />
      )
    case 'starting':
    case 'sending':
    case 'retrying':
      return <Act on={upload.pause} words={t.buttons.pause} name={name} />
    case 'paused':
      return <Act on={upload.resume} words={t.buttons.resume} name={name} primary />
    case 'failed':
      return mayTryAgain ? <Act on={upload.again} words={t.buttons.tryAgain} name={name} primary /> : null
    case 'refused':
      return mayTryAgain ? (
        <Act on={() => uploads.force(item)} words={t.buttons.anyway} name={name} />
      ) : null
    default:
      return null
  }
}

interface ActProps {
  on(): void
  words: string
  /** Of the file: screen readers get it with the words. */
  name: string
  primary?: boolean
  /** When it appears. */
  takesFocus?: boolean
}

export function Act({ on, words, name, primary = false, takesFocus = false }: ActProps) {
  return (
    <button
      type="button"
      className={primary ? 'primary' : ''}
      ref={takesFocus ? takeFocus : null}
      onClick={on}
    >
      {words}
      <span className="unseen"> {name}</span>
    </button>
  )
}

/**
 * Where the focus was in here and its button is gone, the first button gets it; without one, what is
 * around it and may have it, until there is a button again.
 */
export class KeepFocus extends Component<{ children: ReactNode }> {
  private readonly place = createRef<HTMLDivElement>()
  /** What is around has the focus, until there is a button again. */
  private isLent = false

  override getSnapshotBeforeUpdate(): boolean {
    this.isLent &&= document.activeElement === this.around
    return this.hasFocus || this.isLent
  }

  override componentDidUpdate(_: unknown, __: unknown, hadFocus: boolean): void {
    if (!hadFocus || this.hasFocus) return
    const button = this.place.current!.querySelector('button')
    this.isLent = button === null
    ;(button ?? this.around)?.focus()
  }

  override render(): ReactNode {
    return <div ref={this.place}>{this.props.children}</div>
  }

  private get hasFocus(): boolean {
    return this.place.current?.contains(document.activeElement) ?? false
  }

  private get around(): HTMLElement | null {
    return this.place.current?.closest<HTMLElement>('[tabindex="-1"]') ?? null
  }
}
