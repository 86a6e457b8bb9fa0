/**
 * Keeps what the files of this page need to come back after a reload or a crash, until their
 * uploads are over.
 *
 * Rule 1: no upload waits for this or fails by it. What cannot be kept is chosen again by the user.
 *
 * Rule 2: nothing is kept for guests, nor after the key was forgotten.
 */

import { unique } from '../core/unique'
import type { Chosen } from './folders'
import { keptFilesOf } from './keptFiles'
import type { Kept, KeptFiles } from './keptFiles'
import type { Session } from './session'
import { isOver } from './uploads'
import type { Item, Uploads } from './uploads'

const MiB = 1024 * 1024
/**
 * The largest file that is copied: photos and short clips. A copy takes as much of the disk again. A
 * recording cannot be chosen again, so it may be larger.
 */
export const LARGEST_COPY = 32 * MiB
/** All copies of this browser together, and the part of what it would still store. */
const ALL_COPIES = 256 * MiB
const PART_OF_ROOM = 0.1
/** Each costs some milliseconds, also of an empty file. */
const MOST_COPIES = 256
/** Milliseconds: most small files have arrived by then, and need no copy. */
const SOON = 1000
/** Milliseconds: no server is likely to have kept the upload for longer. */
const OLD = 7 * 24 * 3600 * 1000

interface Entry {
  /** Null until it is kept. */
  kept: Kept | null
  isBegun: boolean
  isEnded: boolean
}

export class Keeping {
  private readonly entries = new Map<Item, Entry>()
  private readonly page = unique()
  private opening: Promise<KeptFiles> | null = null
  private last: Promise<void> = Promise.resolve()
  private isSwept = false

  constructor(
    private readonly session: Session,
    private readonly open: (page: string) => Promise<KeptFiles> = keptFilesOf,
  ) {}

  /**
   * Keep what these uploads need, until the function that is returned is called. Where the server
   * forbids it, remove what was kept before.
   */
  follow(uploads: Uploads): () => void {
    if (this.isForbidden && !this.session.isGuest) this.forget()
    if (!this.isAllowed) return () => undefined
    return uploads.subscribe(() => this.look(uploads.now()))
  }

  /**
   * What pages that are closed have kept of uploads to this server. It is this page's from now on.
   * What is old is removed.
   */
  async claim(): Promise<Kept[]> {
    if (!this.isAllowed) return []
    try {
      const files = await this.files()
      return await files.alone((open) => this.claimFrom(files, open))
    } catch {
      return [] // Nothing can be kept here.
    }
  }

  /** Rejects if the file is gone, or is not the one that was kept. */
  async file(kept: Kept): Promise<File> {
    const { handle, name, type, size, lastModified } = kept
    const found = await (handle ? handle.getFile() : (await this.files()).read(kept.id))
    if (found.size !== size) throw new Error('another size')
    if (!handle) return new File([found], name, { type, lastModified })
    if (found.lastModified !== lastModified) throw new Error('another time')
    return found
  }

  discard({ id }: Kept): void {
    this.soon(async (files) => files.remove(id))
  }

  /** Remove all that is kept of uploads to this server. */
  forget(): void {
    for (const entry of this.entries.values()) entry.isEnded = true
    this.soon(async (files) => {
      for (const { id, api } of await files.records()) if (api === this.api) await files.remove(id)
    })
  }

  /** A hash of the key in use; null where somebody else knows who the user is. */
  async who(): Promise<string | null> {
    if (!this.session.place.asksForKey) return null
    const text = new TextEncoder().encode(`${this.api}\0${this.session.now().key ?? ''}`)
    const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', text))
    return [...hash].map((byte) => byte.toString(16).padStart(2, '0')).join('')
  }

  private get api(): string {
    return this.session.place.api
  }

  private get isAllowed(): boolean {
    return !this.session.isGuest && !this.isForbidden
  }

  private get isForbidden(): boolean {
    return this.session.place.keepsFiles === false
  }

  private files(): Promise<KeptFiles> {
    return (this.opening ??= this.open(this.page))
  }

  /** One after the other, so that a record is not put after it was removed. */
  private soon(act: (files: KeptFiles) => Promise<void>): void {
    this.last = this.last.then(async () => act(await this.files())).catch(() => undefined)
  }

  private async claimFrom(files: KeptFiles, open: ReadonlySet<string>): Promise<Kept[]> {
    const records = await files.records()
    if (!this.isSwept) await this.sweep(files, open, records)
    const mine: Kept[] = []
    for (const record of records) {
      if (open.has(record.page)) continue
      if (Date.now() - record.keptAt > OLD) {
        await files.remove(record.id)
      } else if (record.api === this.api) {
        mine.push({ ...record, page: this.page })
        await files.put(mine.at(-1)!)
      }
    }
    return mine.sort((one, other) => one.keptAt - other.keptAt)
  }

  /** Remove copies whose page was closed before it wrote the record. */
  private async sweep(files: KeptFiles, open: ReadonlySet<string>, records: Kept[]): Promise<void> {
    this.isSwept = true
    const recorded = new Set(records.map(({ id }) => id))
    for (const id of await files.copies()) {
      if (!recorded.has(id) && !open.has(id.split('.')[0]!)) await files.remove(id)
    }
  }

  private look(items: readonly Item[]): void {
    const used = new Set(items.filter(isOfUse))
    for (const [item, entry] of this.entries) {
      if (used.has(item)) continue
      this.entries.delete(item)
      entry.isEnded = true
      if (entry.kept) this.discard(entry.kept)
    }
    for (const item of used) this.note(item)
  }

  private note(item: Item): void {
    const entry = this.entries.get(item) ?? { kept: item.chosen.kept ?? null, isBegun: false, isEnded: false }
    this.entries.set(item, entry)
    const { kept } = entry
    if (entry.isEnded) return
    if (kept) {
      const now = changeable(item, kept.uploadId)
      if (isSame(now, kept)) return
      const changed = (entry.kept = { ...kept, ...now })
      this.soon(async (files) => {
        if (!entry.isEnded) await files.put(changed)
      })
    } else if (!entry.isBegun && (this.session.place.asksForKey || item.uploadId !== null)) {
      entry.isBegun = true
      setTimeout(() => {
        if (!entry.isEnded) this.soon((files) => this.keep(files, item, entry))
      }, SOON)
    }
  }

  private async keep(files: KeptFiles, item: Item, entry: Entry): Promise<void> {
    if (entry.isEnded) return
    const { file, path } = item.chosen
    const id = `${this.page}.${item.id}`
    const isCopied = await this.copy(files, id, item.chosen)
    const handle = isCopied ? null : ((await item.chosen.handle) ?? null)
    if (!isCopied && !handle) return
    const { name, type, size, lastModified } = file
    const kept: Kept = {
      ...{ id, page: this.page, api: this.api, who: await this.who() },
      ...changeable(item, null),
      ...{ path, name, type, size, lastModified, handle, keptAt: Date.now() },
    }
    if (entry.isEnded) return files.remove(id) // It was over before the copy was made.
    await files.put(kept)
    entry.kept = kept
    if (entry.isEnded) await files.remove(id)
    else this.note(item)
  }

  /** Whether there is a copy now. */
  private async copy(files: KeptFiles, id: string, { file, isRecorded }: Chosen): Promise<boolean> {
    if (file.size > LARGEST_COPY && !isRecorded) return false
    try {
      const copies = (await files.records()).filter(({ handle }) => handle === null)
      const taken = copies.reduce((sum, { size }) => sum + size, file.size)
      if (copies.length >= MOST_COPIES || taken > ALL_COPIES) return false
      if (file.size > PART_OF_ROOM * (await files.room())) return false
      await files.copy(id, file)
      return true
    } catch {
      return false // The file cannot be read, or the disk is full.
    }
  }
}

type Changeable = Pick<Kept, 'uploadId' | 'isPaused' | 'called' | 'metadata'>

/** What is kept of it that may change. */
function changeable(item: Item, uploadId: string | null): Changeable {
  const { called, metadata } = item
  const isPaused = item.state === 'paused' || item.isUnstarted
  return { uploadId: item.uploadId ?? uploadId, isPaused, called, metadata }
}

const isSame = (one: Changeable, other: Changeable): boolean =>
  Object.entries(one).every(([name, value]) => value === other[name as keyof Changeable])

const isOfUse = (item: Item): boolean =>
  !isOver(item.state) &&
  item.state !== 'refused' &&
  !(item.state === 'failed' && item.trouble?.isFinal)
