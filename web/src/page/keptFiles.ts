/**
 * What this browser keeps of files whose upload is not over: records in IndexedDB, and copies of
 * small files in its private file system (OPFS).
 *
 * Rule 1: a copy is made before its record, and removed after it. Copies without a record belong to
 * no upload.
 *
 * Rule 2: a page holds a lock as long as it is open, so others know whose records are left over.
 */

import type { Metadata } from './folders'

declare global {
  // Chromium alone has these.
  interface FileSystemHandle {
    queryPermission?(wanted: { mode: 'read' }): Promise<PermissionState>
    requestPermission?(wanted: { mode: 'read' }): Promise<PermissionState>
  }
  interface DataTransferItem {
    getAsFileSystemHandle?(): Promise<FileSystemHandle | null>
  }
  interface Window {
    showOpenFilePicker?(options: {
      multiple: boolean
      types?: { accept: Record<string, string[]> }[]
    }): Promise<FileSystemFileHandle[]>
  }
}

export interface Kept {
  /** Also the name of the copy. */
  id: string
  /** The page that keeps it. */
  page: string
  /** The address of the server's API. */
  api: string
  /** A hash of the key that was in use; null where this page does not know who its user is. */
  who: string | null
  /** Null as long as the server has not told one. */
  uploadId: string | null
  /** Its user has paused the upload, or not started it yet. */
  isPaused: boolean
  path: string
  name: string
  type: string
  size: number
  /** Milliseconds since 1970, as is `keptAt`. */
  lastModified: number
  /** Its name on the server and what its user says of it; of an earlier version without. */
  called?: string
  metadata?: Metadata
  /** Null: there is a copy. */
  handle: FileSystemFileHandle | null
  keptAt: number
}

/** Every method may reject: storage may be full or forbidden. */
export interface KeptFiles {
  /** Calls `act` while no other page does, with the ids of the pages that are open. */
  alone<T>(act: (open: ReadonlySet<string>) => Promise<T>): Promise<T>
  /** Of all servers and pages. */
  records(): Promise<Kept[]>
  put(record: Kept): Promise<void>
  /** The record and its copy, if there are any. */
  remove(id: string): Promise<void>
  /** The names of all copies. */
  copies(): Promise<string[]>
  copy(id: string, file: File): Promise<void>
  /** Rejects if it is gone. */
  read(id: string): Promise<File>
  /** The bytes that the browser would still store. */
  room(): Promise<number>
}

const NAME = 'wherry'
const RECORDS = 'kept'
const OPEN = 'wherry-page '
const ALONE = 'wherry-kept'

/** Rejects in a browser or window that keeps nothing. `page`: the id of this page. */
export async function keptFilesOf(page: string): Promise<KeptFiles> {
  const { locks, storage } = navigator
  const root = await storage.getDirectory()
  const folder = await root.getDirectoryHandle(NAME, { create: true })
  const database = await opened()
  await new Promise<void>((resolve, reject) => {
    const untilClosed = () => new Promise<never>(() => resolve())
    locks.request(OPEN + page, untilClosed).catch(reject)
  })
  const table = (mode: IDBTransactionMode) =>
    database.transaction(RECORDS, mode).objectStore(RECORDS)
  return {
    alone: (act) => locks.request(ALONE, async () => act(await openPages(locks))),
    records: () => done(table('readonly').getAll()),
    async put(record) {
      await done(table('readwrite').put(record))
    },
    async remove(id) {
      await done(table('readwrite').delete(id))
      await folder.removeEntry(id).catch(() => undefined) // A record with a handle has no copy.
    },
    async copies() {
      const names: string[] = []
      for await (const name of folder.keys()) names.push(name)
      return names
    },
    async copy(id, file) {
      const handle = await folder.getFileHandle(id, { create: true })
      const writable = await handle.createWritable()
      await writable.write(file)
      await writable.close()
    },
    read: async (id) => (await folder.getFileHandle(id)).getFile(),
    async room() {
      const { quota = 0, usage = 0 } = await storage.estimate()
      return quota - usage
    },
  }
}

async function openPages(locks: LockManager): Promise<ReadonlySet<string>> {
  const { held = [] } = await locks.query()
  const names = held.map(({ name }) => name ?? '').filter((name) => name.startsWith(OPEN))
  return new Set(names.map((name) => name.slice(OPEN.length)))
}

async function opened(): Promise<IDBDatabase> {
  const request = indexedDB.open(NAME, 1)
  request.onupgradeneeded = () => request.result.createObjectStore(RECORDS, { keyPath: 'id' })
  const database = await done(request)
  database.onversionchange = () => database.close()
  return database
}

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
}
