/** The ways a file comes in: a button for files, one for a folder, dropping, and pasting. */

import { useEffect, useRef, useState } from 'preact/compat'
import type { ChangeEvent } from 'preact/compat'
import { acceptedSentence, acceptOf, takesType } from './accepted'
import type { Accepted } from './accepted'
import { fromDialog, fromHandles, gather } from './folders'
import type { Gathered } from './folders'
import { t } from './language'
import { Recorder } from './Recorder'

interface Props {
  onFiles(gathered: Gathered): void
  accepted: Accepted
  /** Whether what is chosen waits until its user starts it. */
  waits: boolean
  onWaits(waits: boolean): void
  /** Nothing was chosen yet: say what this is. */
  isFirst: boolean
}

/** Phones have no folders. */
const HAS_FOLDERS = 'webkitdirectory' in HTMLInputElement.prototype

export function Chooser({ onFiles, accepted, waits, onWaits, isFirst }: Props) {
  const files = useRef<HTMLInputElement>(null)
  const folder = useRef<HTMLInputElement>(null)
  const isOver = useDrop(onFiles)
  const limits = acceptedSentence(accepted)
  const onChange = (event: ChangeEvent<HTMLInputElement>) => {
    const chosen = fromDialog(event.currentTarget.files ?? [])
    event.currentTarget.value = '' // the same file may be chosen again
    if (chosen.length > 0) onFiles({ chosen, empty: [], unreadable: [] })
  }
  const chooseFiles = async () => {
    if (!givesHandles()) return files.current?.click()
    try {
      const chosen = await fromHandles(await window.showOpenFilePicker!(dialogOf(accepted)))
      onFiles({ chosen, empty: [], unreadable: [] })
    } catch (error) {
      const isCancelled = (error as Error).name === 'AbortError'
      if (!isCancelled) files.current?.click() // A policy forbids it, or a file cannot be read.
    }
  }
  return (
    <section
      className={`chooser ${isFirst ? 'first' : ''} ${isOver ? 'over' : ''}`}
      aria-label={t.choose.label}
    >
      <div className="buttons">
        <button type="button" className="primary large" onClick={() => void chooseFiles()}>
          {t.choose.files}
        </button>
        {HAS_FOLDERS && (
          <button type="button" className="large" onClick={() => folder.current?.click()}>
            {t.choose.folder}
          </button>
        )}
      </div>
      <p className="drop">{isOver ? t.choose.drop : t.choose.orDrop}</p>
      {takesType('video/webm', accepted) && (
        <Recorder
          onFile={(file) =>
            onFiles({ chosen: [{ file, path: file.name, isRecorded: true }], empty: [], unreadable: [] })
          }
        />
      )}
      <label className="tick">
        <input
          type="checkbox"
          checked={waits}
          onChange={(event) => onWaits(event.currentTarget.checked)}
        />
        {t.choose.waits}
      </label>
      {limits !== '' && <p className="limits">{limits}</p>}
      {isFirst && <p className="hint">{t.choose.hint}</p>}
      <input
        ref={files}
        type="file"
        multiple
        hidden
        accept={acceptOf(accepted)}
        aria-label={t.choose.theFiles}
        onChange={onChange}
      />
      <input
        ref={(input) => {
          folder.current = input
          input?.setAttribute('webkitdirectory', '')
        }}
        type="file"
        hidden
        aria-label={t.choose.theFolder}
        onChange={onChange}
      />
    </section>
  )
}

/**
 * Whether there is a dialog by which a file is found again after a reload. That of phones offers no
 * camera.
 */
function givesHandles(): boolean {
  const { userAgentData } = navigator as { userAgentData?: { mobile: boolean } }
  return 'showOpenFilePicker' in window && userAgentData?.mobile === false
}

function dialogOf(accepted: Accepted) {
  const types = acceptOf(accepted)?.split(',') ?? []
  const accept = Object.fromEntries(types.map((type) => [type, []]))
  return { multiple: true, ...(types.length > 0 ? { types: [{ accept }] } : {}) }
}

/** Files dropped or pasted anywhere on the page; whether some are being held over it. */
function useDrop(onFiles: Props['onFiles']): boolean {
  const [isOver, setOver] = useState(false)
  useEffect(() => {
    const listening = new AbortController()
    const listen = <K extends keyof WindowEventMap>(
      name: K,
      act: (event: WindowEventMap[K]) => void,
    ) => window.addEventListener(name, act, { signal: listening.signal })
    let depth = 0
    const end = () => {
      depth = 0
      setOver(false)
    }
    const take = (transfer: DataTransfer) => void gather(transfer).then(onFiles)
    listen('dragenter', (event) => {
      if (!hasFiles(event.dataTransfer)) return
      event.preventDefault()
      depth += 1
      setOver(true)
    })
    listen('dragleave', (event) => {
      if (!hasFiles(event.dataTransfer)) return
      depth -= 1
      if (depth <= 0) end()
    })
    listen('dragover', (event) => {
      if (hasFiles(event.dataTransfer)) event.preventDefault()
    })
    listen('drop', (event) => {
      if (!hasFiles(event.dataTransfer)) return
      event.preventDefault()
      end()
      take(event.dataTransfer)
    })
    listen('paste', (event) => {
      if (!hasFiles(event.clipboardData)) return // Text, for example into the field of the key.
      event.preventDefault()
      take(event.clipboardData)
    })
    return () => listening.abort()
  }, [onFiles])
  return isOver
}

function hasFiles(transfer: DataTransfer | null): transfer is DataTransfer {
  return transfer?.types.includes('Files') ?? false
}
