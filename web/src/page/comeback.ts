/**
 * Brings back the uploads that a reload or a crash has interrupted, with the files that this browser has kept.
 *
 * Rule 1: the server's list decides. What it does not have any more, or only for another user, is
 * not shown, and what was kept of it is removed.
 *
 * Rule 2: what another tab or program is sending is left to it, as long as it does.
 *
 * Rule 3: nothing is sent twice. A file that has arrived without an upload id, in one request, is
 * recognised by its name, its size and its digest.
 */

import { renderDigest } from '../core/digest'
import { Source } from '../core/source'
import type { Keeping } from './keeping'
import type { Kept } from './keptFiles'
import { isUnfinished } from './server'
import type { KnownUpload } from './server'
import type { Uploads } from './uploads'
import { t } from './language'
import { named } from './words'

export interface OnServer {
  uploads: readonly KnownUpload[]
  isElsewhere(upload: KnownUpload): boolean
}

/** What became of the kept files that this page cannot go on with by itself. */
class Lost {
  readonly changed: string[] = []
  readonly notAllowed: string[] = []

  sentence(): string | null {
    const { changed, notAllowed } = t.comeback
    const said = [named(this.changed, changed), named(this.notAllowed, notAllowed)]
    return said.filter((sentence) => sentence !== null).join(' ') || null
  }
}

export class Comeback {
  /** By the id of what is kept. */
  private readonly left = new Map<string, Kept>()
  private offered: ReadonlyMap<string, Kept> = new Map()
  private last: Promise<void> = Promise.resolve()
  private readonly listeners = new Set<() => void>()

  /** `tell` the user what has to be chosen again. */
  constructor(
    private readonly uploads: Uploads,
    private readonly keeping: Keeping,
    private readonly tell: (sentence: string) => void,
  ) {}

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  /** By upload id: what goes on when its user wants it to. Another map after each change. */
  readonly now = (): ReadonlyMap<string, Kept> => this.offered

  /** To be called with each list of the server. */
  look(onServer: OnServer): Promise<void> {
    return (this.last = this.last.then(() => this.lookNow(onServer)))
  }

  /** The user wants an offered upload to go on. Whether it does. */
  async goOn(upload: KnownUpload, onServer: OnServer): Promise<boolean> {
    const kept = this.offered.get(upload.upload_id)
    if (!kept) return false
    const lost = new Lost()
    // The first await: a browser asks its user only just after a click.
    const isAllowed = await isReadable(kept, true)
    if (isAllowed) await this.bring(kept, upload, onServer, lost)
    else lost.notAllowed.push(kept.path)
    this.change(lost)
    return isAllowed && lost.changed.length === 0
  }

  private async lookNow(onServer: OnServer): Promise<void> {
    for (const kept of await this.keeping.claim()) this.left.set(kept.id, kept)
    if (this.left.size === 0) return
    const lost = new Lost()
    const who = await this.keeping.who()
    for (const kept of [...this.left.values()]) await this.decide(kept, who, onServer, lost)
    this.change(lost)
  }

  private async decide(
    kept: Kept,
    who: string | null,
    onServer: OnServer,
    lost: Lost,
  ): Promise<void> {
    if (!this.left.has(kept.id)) return // A click has brought it back meanwhile.
    const { uploadId } = kept
    const upload = onServer.uploads.find(({ upload_id: id }) => id === uploadId) ?? null
    const isMine = uploadId === null ? kept.who !== null && kept.who === who : isToSend(upload)
    if (!isMine || this.isInList(uploadId)) return this.drop(kept)
    if (upload && onServer.isElsewhere(upload)) return
    const isReady = !(upload && kept.isPaused) && (await isReadable(kept, false))
    if (isReady) return this.bring(kept, upload, onServer, lost)
    if (upload) return
    lost.notAllowed.push(kept.path)
    this.drop(kept)
  }

  private async bring(
    kept: Kept,
    upload: KnownUpload | null,
    { uploads }: OnServer,
    lost: Lost,
  ): Promise<void> {
    let file: File
    try {
      file = await this.keeping.file(kept)
      if (!upload && (await hasArrived(file, kept, uploads))) return this.drop(kept)
    } catch {
      lost.changed.push(kept.path)
      return this.drop(kept)
    }
    if (!this.left.delete(kept.id)) return
    const { path, called = file.name, metadata = {}, isPaused } = kept
    const chosen = { file, path, called, metadata, kept, waits: !upload && isPaused }
    const twice = this.uploads.add([chosen], uploads, upload)
    if (twice.length > 0) this.keeping.discard(kept)
  }

  /** The user has chosen the file again. */
  private isInList(uploadId: string | null): boolean {
    return uploadId !== null && this.uploads.now().some(({ sentAs }) => sentAs === uploadId)
  }

  private drop(kept: Kept): void {
    this.left.delete(kept.id)
    this.keeping.discard(kept)
  }

  private change(lost: Lost): void {
    const known = [...this.left.values()].filter(({ uploadId }) => uploadId !== null)
    this.offered = new Map(known.map((kept) => [kept.uploadId!, kept]))
    for (const listener of this.listeners) listener()
    const sentence = lost.sentence()
    if (sentence !== null) this.tell(sentence)
  }
}

const isToSend = (upload: KnownUpload | null): boolean =>
  upload !== null && isUnfinished(upload) && upload.state !== 'completing'

/** Whether this page may read it. Browsers without such permissions let it read what they gave it. */
async function isReadable({ handle }: Kept, mayAsk: boolean): Promise<boolean> {
  if (!handle) return true
  const wanted = { mode: 'read' } as const
  try {
    const said = mayAsk ? handle.requestPermission?.(wanted) : handle.queryPermission?.(wanted)
    return ((await said) ?? 'granted') === 'granted'
  } catch {
    return false // Asked without a click.
  }
}

async function hasArrived(
  file: File,
  { called = file.name }: Kept,
  uploads: readonly KnownUpload[],
): Promise<boolean> {
  const alike = uploads.filter(
    ({ state, filename, size }) => state === 'complete' && filename === called && size === file.size,
  )
  if (alike.length === 0) return false
  const { crc } = await new Source(file).digest([0, file.size])
  return alike.some(({ digest }) => digest === renderDigest(crc))
}
