/**
 * The files of this page and their uploads, which go on whichever of them are on the screen.
 *
 * Rule 1: uploads begin in the order of the list, while those under way weigh less than `AT_ONCE`. No
 * small file overtakes a large one.
 *
 * Rule 2: nothing begins while all are paused, or while a key is wanted. An upload that was refused
 * for its key goes on by itself when there is a new one.
 *
 * Rule 3: a file that the server would refuse is refused here, and nothing of it is sent.
 *
 * Rule 4: no file begins while its name and details are being changed, and none changes after it has
 * begun.
 */

import type { UploadDetails, UploadFailure } from '../core'
import { Observed } from '../react/observed'
import { ANYTHING, refusalOf } from './accepted'
import type { Accepted, Sharing } from './accepted'
import type { Chosen, Metadata } from './folders'
import { nameProblem, shownName } from './names'
import type { KnownUpload } from './server'
import type { Session } from './session'
import { settled, trouble } from './words'
import type { Trouble } from './words'

/** How many small files are uploaded at once; the others wait in this browser. */
const AT_ONCE = 4
/** A larger file counts as so many, because it has two chunks in flight. */
const LARGE = 2
/** At most two large files at a time: a browser has six connections to a server. */
const CHUNKS_AT_ONCE = 2
/** The largest file that goes in one request, in bytes. */
export const SMALL = 5 * 1024 * 1024

/** `queued`: it waits in this browser. `refused`: by this page. */
export type ItemState = UploadDetails['state'] | 'queued' | 'refused'

export const isMoving = (state: ItemState): boolean =>
  ['starting', 'sending', 'waiting', 'retrying', 'completing'].includes(state)
/** Nothing more happens to it by itself, and nothing has to be done. */
export const isOver = (state: ItemState): boolean => state === 'done' || state === 'cancelled'
export const isStopped = (state: ItemState): boolean => state === 'failed' || state === 'refused'
/** Those that a pause of all pauses: a file that has arrived whole only has to be completed. */
const isPausable = (state: ItemState): boolean => isMoving(state) && state !== 'completing'

/** One chosen file. */
export class Item {
  state: ItemState = 'queued'
  /** Why this page refuses it. */
  refusal: Trouble | null = null
  failure: UploadFailure | null = null
  uploadId: string | null = null
  /** It is to begin, resume or try again when it is its turn. */
  isDue = true
  /** It was told to, and its state does not show it yet. */
  isBeginning = false
  /** The user knows better than this page. */
  isForced = false
  /** A form is open that may change its name and details. */
  isBeingEdited = false
  /** Its name on the server. */
  called: string
  metadata: Metadata
  /** The round of the session in which its upload was last sent. */
  round = 0

  constructor(
    readonly id: number,
    readonly chosen: Chosen,
    /** The unfinished upload that it was chosen for. */
    readonly meant: KnownUpload | null,
    /** The server's uploads when it was chosen. */
    readonly known: readonly KnownUpload[],
    readonly upload: Observed,
  ) {
    this.called = chosen.called ?? chosen.file.name
    this.metadata = chosen.metadata ?? {}
  }

  get file(): File {
    return this.chosen.file
  }

  /** As it was chosen, with the name on the server. */
  get path(): string {
    const { path } = this.chosen
    return path.slice(0, path.lastIndexOf('/') + 1) + this.called
  }

  /** It waits for its user, who has not started it yet. */
  get isUnstarted(): boolean {
    return this.state === 'queued' && !this.isDue
  }

  /** The server has its name and details as soon as it has an upload of it. */
  get mayBeEdited(): boolean {
    if (this.meant !== null) return false
    return this.state === 'queued' || (this.state === 'refused' && nameProblem(this.called) !== null)
  }

  /** The upload that it is, or will be if all is well. */
  get sentAs(): string | null {
    const isEnded = isOver(this.state) || isStopped(this.state)
    return this.uploadId ?? (isEnded ? null : (this.meant?.upload_id ?? null))
  }

  /** For the eye; safe to put into any text. */
  get name(): string {
    return shownName(this.path)
  }

  /** What went wrong, for the user. */
  get trouble(): Trouble | null {
    return this.refusal ?? (this.failure && trouble(this.failure, this.upload.now().details))
  }

  get weight(): number {
    return this.file.size <= SMALL ? 1 : LARGE
  }

  /** Null before it begins. */
  get details(): UploadDetails | null {
    const { details } = this.upload.now()
    return details && settled(details)
  }

  get bytesSent(): number {
    return this.state === 'done' ? this.file.size : (this.details?.bytesSent ?? 0)
  }
}

export class Uploads {
  /** All are paused; what is chosen meanwhile waits, too. */
  isHeld = false
  /** What is chosen does not begin before its user starts it. */
  waits: boolean
  private items: readonly Item[] = []
  private accepted = ANYTHING
  private nextId = 1
  private readonly listeners = new Set<() => void>()

  constructor(private readonly session: Session) {
    this.waits = this.fields.length > 0
  }

  /** The names of the details that the server wants to be asked for. */
  get fields(): readonly string[] {
    return this.session.place.fields ?? []
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  /** Another array after each change of a state; numbers change without one. */
  readonly now = (): readonly Item[] => this.items

  /** Follow the session until the function that is returned is called, which sends nothing more. */
  readonly open = (): (() => void) => {
    const stop = this.session.subscribe(() => this.followSession())
    return () => {
      stop()
      for (const item of this.items) item.upload.leave()
    }
  }

  /** The files that were not taken, because they are in the list already. */
  add(
    chosen: readonly Chosen[],
    known: readonly KnownUpload[],
    meant: KnownUpload | null = null,
  ): Chosen[] {
    const listed = new Set(this.items.filter(isOfUse).map(({ chosen }) => identity(chosen)))
    const twice: Chosen[] = []
    const more: Item[] = []
    for (const one of chosen) {
      if (listed.has(identity(one))) {
        twice.push(one)
      } else {
        listed.add(identity(one))
        more.push(this.item(one, known, meant))
      }
    }
    this.items = [...this.items, ...more]
    this.change()
    return twice
  }

  accept(accepted: Accepted): void {
    this.accepted = accepted
    for (const item of this.items) if (item.state === 'queued') this.check(item)
    this.change()
  }

  /** Whether its user can make links that show a report. */
  get sharing(): Sharing {
    return this.accepted
  }

  /** Whether there are receipts for what has arrived. */
  get hasReceipts(): boolean {
    return this.accepted.receipts
  }

  /** Upload a file although this page refused it. */
  force(item: Item): void {
    item.isForced = true
    item.refusal = null
    item.state = 'queued'
    this.change()
  }

  /** The user has done with a file what they wanted to do before it begins. */
  start(item: Item): void {
    item.isDue = true
    this.change()
  }

  /** It does not begin while a form is open. */
  holdForEdit(item: Item, isOpen: boolean): void {
    item.isBeingEdited = isOpen
    this.change()
  }

  edit(item: Item, called: string, metadata: Metadata): void {
    if (!item.mayBeEdited) return
    Object.assign(item, { called, metadata })
    this.check(item)
    this.change()
  }

  remove(item: Item): void {
    this.drop((one) => one === item)
  }

  /** Forget what is over, and what was refused before anything was sent. */
  clearFinished(): void {
    this.drop(({ state }) => isOver(state) || state === 'refused')
  }

  pauseAll(): void {
    this.isHeld = true
    for (const item of this.items) if (isPausable(item.state)) item.upload.pause()
    this.change()
  }

  resumeAll(): void {
    this.isHeld = false
    for (const item of this.items) item.isDue ||= item.state === 'paused' || item.isUnstarted
    this.change()
  }

  /** Try everything again that has failed, and may yet succeed. */
  againAll(): void {
    for (const item of this.items) item.isDue ||= item.state === 'failed' && !item.trouble?.isFinal
    this.change()
  }

  /** Cancel all that are not over, on the server too. */
  async cancelAll(): Promise<void> {
    const begun = this.items.filter((item) => isPausable(item.state) || isLeft(item.state))
    this.isHeld = false
    this.drop(({ state }) => state === 'queued' || state === 'refused')
    await Promise.all(begun.map((item) => item.upload.cancel()))
  }

  private item(one: Chosen, known: readonly KnownUpload[], meant: KnownUpload | null): Item {
    const { endpoint, headers } = { endpoint: this.session.place.api, headers: this.session.headers }
    const upload = new Observed(() => ({
      endpoint,
      headers,
      concurrency: CHUNKS_AT_ONCE,
      filename: item.called,
      ...metadataOf(item),
      ...inChunks(one.file, meant),
    }))
    const item: Item = new Item(this.nextId++, one, meant, known, upload)
    item.isDue = !(one.waits ?? (this.waits && meant === null))
    upload.subscribe(() => this.noteChange(item))
    this.check(item)
    return item
  }

  private check(item: Item): void {
    if (item.isForced) return
    item.refusal = refusalOf({ name: item.called, size: item.file.size, type: item.file.type }, this.accepted)
    item.state = item.refusal ? 'refused' : 'queued'
  }

  private noteChange(item: Item): void {
    const { details, failure, uploadId } = item.upload.now()
    const state = details?.state ?? 'queued'
    if (state === item.state && failure === item.failure && uploadId === item.uploadId) return
    if (state !== item.state) item.isBeginning = false
    Object.assign(item, { state, failure, uploadId })
    if (failure?.status === 401) this.noteLockedOut(item)
    this.change()
  }

  private noteLockedOut(item: Item): void {
    this.session.refused(item.round)
    item.isDue = true
  }

  private followSession(): void {
    if (!this.session.now().isWanted) this.change()
  }

  private drop(isDropped: (item: Item) => boolean): void {
    const dropped = new Set(this.items.filter(isDropped))
    for (const item of dropped) item.upload.leave()
    this.items = this.items.filter((item) => !dropped.has(item))
    this.change()
  }

  private change(): void {
    this.admit()
    this.items = [...this.items]
    for (const listener of [...this.listeners]) listener()
  }

  private admit(): void {
    if (this.isHeld) return
    while (!this.session.now().isWanted) {
      const next = this.next()
      if (next === undefined) return
      this.begin(next)
    }
  }

  /** The first that is due, if there is room for it. */
  private next(): Item | undefined {
    const next = this.items.find((item) => item.isDue && !item.isBeingEdited && mayBegin(item.state))
    if (!next) return undefined
    const moving = this.items.filter((item) => item.isBeginning || isMoving(item.state))
    const weight = moving.reduce((sum, item) => sum + item.weight, next.weight)
    return weight <= AT_ONCE ? next : undefined
  }

  private begin(item: Item): void {
    item.isDue = false
    item.isBeginning = true
    item.round = this.session.now().round
    if (item.state === 'paused') item.upload.resume()
    else if (item.state === 'failed') item.upload.again()
    else item.upload.start(item.file)
  }
}

const isLeft = (state: ItemState): boolean => state === 'paused' || state === 'failed'

const mayBegin = (state: ItemState): boolean => state === 'queued' || isLeft(state)

/** Choosing it again would be an upload of the same file. */
const isOfUse = ({ state }: Item): boolean => !isStopped(state) && state !== 'cancelled'

const identity = ({ file, path }: Chosen): string => `${path}\0${file.size}\0${file.lastModified}`

/** Without any, a small file needs no form around it. */
function metadataOf({ chosen, path, metadata }: Item): { metadata?: Metadata } {
  const isInFolder = chosen.path !== chosen.file.name
  const all = isInFolder ? { ...metadata, relative_path: path } : metadata
  return Object.keys(all).length > 0 ? { metadata: all } : {}
}

/** Only an upload in chunks continues an unfinished one, so a small file goes in two. */
function inChunks(file: File, meant: KnownUpload | null): { chunkSize?: number } {
  return meant && file.size <= SMALL ? { chunkSize: Math.ceil(file.size / 2) } : {}
}
