/** The ways a file comes in: a button, and dropping it anywhere on the page. */

import { useEffect, useRef, useState } from 'react'

interface Props {
  /** `folders`: the names of those that were dropped among them. */
  onFiles(files: File[], folders: string[]): void
  /** Nothing was chosen yet: say what this is. */
  isFirst: boolean
}

export function Chooser({ onFiles, isFirst }: Props) {
  const input = useRef<HTMLInputElement>(null)
  const isOver = useDrop(onFiles)
  return (
    <section
      className={`chooser ${isFirst ? 'first' : ''} ${isOver ? 'over' : ''}`}
      aria-label="Choose files">
      <button type="button" className="primary large" onClick={() => input.current?.click()}>
        Choose files
      </button>
      <p className="drop">{isOver ? 'Drop the files to upload them' : 'or drop them anywhere on this page'}</p>
      {isFirst && (
        <p className="hint">
          Files of any size are uploaded in small requests. After a broken connection, the upload
          continues automatically. If you close this page, choose the same file again to continue.
        </p>
      )}
      <input
        ref={input}
        type="file"
        multiple
        hidden
        aria-label="Files"
        onChange={(event) => {
          onFiles([...(event.target.files ?? [])], [])
          event.target.value = '' // the same file may be chosen again
        }}
      />
    </section>
  )
}

/** Files dropped anywhere on the page; whether some are being held over it. */
function useDrop(onFiles: Props['onFiles']): boolean {
  const [isOver, setOver] = useState(false)
  useEffect(() => {
    let depth = 0
    const hasFiles = (event: DragEvent) => event.dataTransfer?.types.includes('Files') ?? false
    const enter = (event: DragEvent) => {
      if (!hasFiles(event)) return
      event.preventDefault()
      depth += 1
      setOver(true)
    }
    const leave = (event: DragEvent) => {
      if (!hasFiles(event)) return
      depth -= 1
      if (depth <= 0) end()
    }
    const over = (event: DragEvent) => {
      if (hasFiles(event)) event.preventDefault()
    }
    const drop = (event: DragEvent) => {
      if (!hasFiles(event)) return
      event.preventDefault()
      end()
      const { files, folders } = partsOf(event.dataTransfer)
      onFiles(files, folders)
    }
    const end = () => {
      depth = 0
      setOver(false)
    }
    window.addEventListener('dragenter', enter)
    window.addEventListener('dragleave', leave)
    window.addEventListener('dragover', over)
    window.addEventListener('drop', drop)
    return () => {
      window.removeEventListener('dragenter', enter)
      window.removeEventListener('dragleave', leave)
      window.removeEventListener('dragover', over)
      window.removeEventListener('drop', drop)
    }
  }, [onFiles])
  return isOver
}

/** A folder looks like a file that cannot be read. */
function partsOf(transfer: DataTransfer | null): { files: File[]; folders: string[] } {
  const files: File[] = []
  const folders: string[] = []
  for (const item of transfer?.items ?? []) {
    if (item.kind !== 'file') continue
    const entry = item.webkitGetAsEntry?.()
    const file = item.getAsFile()
    if (entry?.isDirectory) folders.push(entry.name)
    else if (file) files.push(file)
  }
  return { files, folders }
}
