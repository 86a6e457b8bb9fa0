/**
 * Files that are dropped, pasted or chosen, with those in folders.
 *
 * Rule 1: nothing is left out silently: what cannot be read and what holds no file is named.
 */

import { Source } from '../core/source'
import type { Kept } from './keptFiles'
import { t } from './language'
import type { KnownUpload } from './server'
import { named } from './words'

/** What its user says of a file: texts by name. */
export type Metadata = Readonly<Record<string, string>>

export interface Chosen {
  file: File
  /** Where it was, with the names of folders: `holiday/day 1/beach.jpg`. */
  path: string
  /** Leads to the file after a reload, too: in Chromium, but for a file in a folder. Never rejects. */
  handle?: Promise<FileSystemFileHandle | null>
  /** Its name on the server, where that is not the file's own. */
  called?: string
  metadata?: Metadata
  /** It does not begin before its user starts it. */
  waits?: boolean
  /** It is nowhere but in this page. */
  isRecorded?: boolean
  /** What this browser kept of it, if an earlier page had it chosen. */
  kept?: Kept
}

export interface Gathered {
  chosen: Chosen[]
  /** The paths of folders without a file in them. */
  empty: string[]
  /** The paths of files and folders that the browser could not read. */
  unreadable: string[]
}

/** As people number their files: 9 before 10. Browsers give what is in a folder in any order. */
const inOrder = (one: string, other: string): number =>
  one.localeCompare(other, undefined, { numeric: true })

/** Files from a file dialog, in its order; those of a folder with their paths. */
export function fromDialog(files: Iterable<File>): Chosen[] {
  const chosen = [...files].map((file) => ({ file, path: file.webkitRelativePath || file.name }))
  const isFolder = chosen.some(({ file }) => file.webkitRelativePath)
  return isFolder ? chosen.sort((one, other) => inOrder(one.path, other.path)) : chosen
}

/** Files chosen for an unfinished upload: one that was renamed for it has its name there. */
export function takeAsMeant(
  chosen: readonly Chosen[],
  { filename, fingerprint }: KnownUpload,
): Promise<Chosen[]> {
  return Promise.all(
    chosen.map(async (one) => {
      if (one.file.name === filename || !fingerprint) return one
      const found = await new Source(one.file, filename).fingerprint().catch(() => null)
      return found === fingerprint ? { ...one, called: filename } : one
    }),
  )
}

/** Files from a dialog that gives handles. */
export function fromHandles(handles: readonly FileSystemFileHandle[]): Promise<Chosen[]> {
  return Promise.all(
    handles.map(async (handle) => {
      const file = await handle.getFile()
      return { file, path: file.name, handle: Promise.resolve(handle) }
    }),
  )
}

/** What was dropped or pasted. The transfer is read at once: it is empty after the event. */
export function gather(transfer: DataTransfer): Promise<Gathered> {
  const roots: (FileSystemEntry | Chosen)[] = []
  for (const item of transfer.items) {
    if (item.kind !== 'file') continue
    const entry = item.webkitGetAsEntry?.()
    const file = item.getAsFile()
    if (entry?.isDirectory) roots.push(entry)
    else if (file) roots.push({ file, path: file.name, handle: handleOf(item) })
  }
  return gatherFrom(roots)
}

async function handleOf(item: DataTransferItem): Promise<FileSystemFileHandle | null> {
  try {
    const handle = await item.getAsFileSystemHandle?.()
    return handle?.kind === 'file' ? (handle as FileSystemFileHandle) : null
  } catch {
    return null // What is dropped or pasted may be no file of this machine.
  }
}

async function gatherFrom(roots: readonly (FileSystemEntry | Chosen)[]): Promise<Gathered> {
  const found: Gathered = { chosen: [], empty: [], unreadable: [] }
  for (const root of roots) {
    if ('path' in root) found.chosen.push(root)
    else await walk(root, found)
  }
  return found
}

async function walk(entry: FileSystemEntry, found: Gathered): Promise<void> {
  const path = entry.fullPath.replace(/^\//, '')
  try {
    if (entry.isFile) {
      found.chosen.push({ file: await fileOf(entry as FileSystemFileEntry), path })
      return
    }
    const inside = await entriesOf(entry as FileSystemDirectoryEntry)
    if (inside.length === 0) found.empty.push(path)
    for (const one of inside) await walk(one, found)
  } catch {
    found.unreadable.push(path)
  }
}

function fileOf(entry: FileSystemFileEntry): Promise<File> {
  return new Promise((resolve, reject) => entry.file(resolve, reject))
}

/** All of them, in order: a browser gives a hundred at a time, and none when there are no more. */
async function entriesOf(folder: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = folder.createReader()
  const all: FileSystemEntry[] = []
  for (;;) {
    const batch = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject),
    )
    if (batch.length === 0) return all.sort((one, other) => inOrder(one.name, other.name))
    all.push(...batch)
  }
}

/** What is to be said of what was not taken; null if all was. */
export function leftOut({ chosen, empty, unreadable }: Gathered): string | null {
  const sentences = [
    named(unreadable, t.choose.unreadable),
    named(empty, t.choose.empty),
  ].filter((sentence) => sentence !== null)
  if (sentences.length > 0) return sentences.join(' ')
  return chosen.length === 0 ? t.choose.noFile : null
}
