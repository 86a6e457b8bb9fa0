import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { renderDigest } from '../core/digest'
import { Source } from '../core/source'
import { made, MiB } from '../core/testing/upload'
import { Comeback } from './comeback'
import { Keeping, LARGEST_COPY } from './keeping'
import type { Kept, KeptFiles } from './keptFiles'
import type { KnownUpload } from './server'
import { Session } from './session'
import { Uploads } from './uploads'

vi.mock('../core', async (original) => ({
  ...(await original<typeof import('../core')>()),
  createUpload: (await import('../core/testing/upload')).fakeCreateUpload,
}))

/** What one browser stores, for all of its pages. */
class Disk {
  readonly records = new Map<string, Kept>()
  readonly copies = new Map<string, File>()
  readonly open = new Set<string>()
  free = 10_000 * MiB
  isForbidden = false

  readonly filesOf = async (page: string): Promise<KeptFiles> => {
    if (this.isForbidden) throw new Error('private window')
    this.open.add(page)
    return {
      alone: (act) => act(new Set(this.open)),
      records: async () => [...this.records.values()],
      put: async (record) => void this.records.set(record.id, record),
      remove: async (id) => {
        this.records.delete(id)
        this.copies.delete(id)
      },
      copies: async () => [...this.copies.keys()],
      copy: async (id, file) => void this.copies.set(id, file),
      // As browsers read them: without the facts of the first file.
      read: async (id) => new File([this.copies.get(id)!], id),
      room: async () => this.free,
    }
  }

  get kept(): Kept[] {
    return [...this.records.values()]
  }
}

let disk: Disk
let told: string[]

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout'] })
  made.length = 0
  disk = new Disk()
  told = []
})

afterEach(() => {
  vi.useRealTimers()
})

interface Place {
  key?: string
  ticket?: string | null
  asksForKey?: boolean
  keepsFiles?: boolean
}

function page({ key = 'k1', ticket = null, asksForKey = true, keepsFiles = true }: Place = {}) {
  const session = new Session({ api: 'http://here/api', asksForKey, ticket, keepsFiles })
  if (asksForKey) session.giveKey(key, false)
  const uploads = new Uploads(session)
  const keeping = new Keeping(session, disk.filesOf)
  keeping.follow(uploads)
  const comeback = new Comeback(uploads, keeping, (sentence) => told.push(sentence))
  const look = (list: KnownUpload[], elsewhere: string[] = []) =>
    comeback.look({ uploads: list, isElsewhere: (one) => elsewhere.includes(one.upload_id) })
  return { session, uploads, keeping, comeback, look }
}

const small = (name = 'talk.txt') => new File(['talk'], name, { type: 'text/plain', lastModified: 7 })

function large(name = 'film.mp4'): File {
  const file = new File(['film'], name, { lastModified: 8 })
  Object.defineProperty(file, 'size', { value: LARGEST_COPY + 1 })
  return file
}

const onServer = (upload_id: string, more: Partial<KnownUpload> = {}): KnownUpload => ({
  upload_id,
  state: 'receiving',
  filename: 'talk.txt',
  size: 4,
  received_bytes: 0,
  received: [],
  assessment_id: null,
  expires_at: null,
  deleted_at: null,
  ...more,
})

/** Leads to a file that only a click makes readable. */
function handleTo(file: File, answer: PermissionState = 'granted') {
  let state: PermissionState = 'prompt'
  return {
    kind: 'file',
    getFile: async () => file,
    queryPermission: async () => state,
    requestPermission: async () => (state = answer),
  } as unknown as FileSystemFileHandle
}

const add = ({ uploads }: ReturnType<typeof page>, file: File, handle?: FileSystemFileHandle) =>
  uploads.add([{ file, path: file.name, handle: Promise.resolve(handle ?? null) }], [])

/** The upload is under way, and the server has told its id. */
function begin(uploadId: string, which = 0): void {
  made[which]!.uploadId = uploadId
  made[which]!.report({ state: 'sending' })
}

/** Until what has to be kept is. */
async function settle(count: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(1000)
  await vi.waitFor(() => expect(disk.kept).toHaveLength(count))
}

/** One file is under way; then all pages are closed. */
async function interrupted(file: File, handle?: FileSystemFileHandle, place?: Place): Promise<void> {
  add(page(place), file, handle)
  begin('u1')
  await settle(1)
  disk.open.clear()
  made.length = 0
}

test('a small file is copied, and its upload comes back with the same file', async () => {
  await interrupted(small())
  const later = page()
  await later.look([onServer('u1')])
  const { file } = made[0]!
  expect([file.name, file.type, file.size, file.lastModified]).toEqual(['talk.txt', 'text/plain', 4, 7])
  expect(await file.text()).toBe('talk')
  expect(later.uploads.now()[0]!.meant!.upload_id).toBe('u1')
  await made[0]!.succeed()
  await settle(0)
  expect(disk.copies.size).toBe(0)
})

test('what arrives within a second is not copied', async () => {
  add(page(), small())
  await made[0]!.succeed()
  await settle(0)
  expect(disk.open.size + disk.copies.size).toBe(0)
})

test('what has come back once comes back again', async () => {
  await interrupted(small())
  await page().look([onServer('u1')])
  begin('u1')
  disk.open.clear()
  await page().look([onServer('u1')])
  expect(made).toHaveLength(2)
  expect(disk.kept).toHaveLength(1)
})

test('a large file needs a click where the browser asks its user', async () => {
  await interrupted(large(), handleTo(large()))
  expect(disk.copies.size).toBe(0)
  const later = page()
  await later.look([onServer('u1')])
  expect(made).toEqual([])
  expect([...later.comeback.now().keys()]).toEqual(['u1'])
  const list = { uploads: [onServer('u1')], isElsewhere: () => false }
  expect(await later.comeback.goOn(onServer('u1'), list)).toBe(true)
  expect(made[0]!.file.name).toBe('film.mp4')
  expect(later.comeback.now().size).toBe(0)
})

test('if the user does not allow it, the page says what to do', async () => {
  await interrupted(large(), handleTo(large(), 'denied'))
  const later = page()
  await later.look([onServer('u1')])
  expect(await later.comeback.goOn(onServer('u1'), { uploads: [], isElsewhere: () => false })).toBe(false)
  expect(made).toEqual([])
  expect(told.join()).toContain('does not let this page read “film.mp4”')
})

const longer = new File(['another film'], 'film.mp4', { lastModified: 8 })
const later = Object.defineProperty(large(), 'lastModified', { value: 9 })

test.each([
  ['is longer', async () => longer],
  ['was changed', async () => later],
  ['is gone', async () => Promise.reject(new Error('gone'))],
])('a file that %s does not go on, and the page says so', async (_, getFile) => {
  await interrupted(large(), { getFile } as unknown as FileSystemFileHandle)
  await page().look([onServer('u1')])
  expect(made).toEqual([])
  expect(told.join()).toContain('“film.mp4” was changed, moved or deleted')
  await settle(0)
})

test('if the user chooses the file again instead, one upload goes on, and one thing is kept', async () => {
  await interrupted(large(), handleTo(large()))
  const later = page()
  await later.look([onServer('u1')])
  later.uploads.add([{ file: small('film.mp4'), path: 'film.mp4' }], [], onServer('u1'))
  await later.look([onServer('u1')])
  expect(later.comeback.now().size).toBe(0)
  expect(made).toHaveLength(1)
  await settle(1)
  expect(disk.kept[0]!.handle).toBeNull()
})

test('what was kept twice comes back once', async () => {
  add(page(), small())
  await settle(1)
  disk.open.clear()
  disk.records.set('closed.2', { ...disk.kept[0]!, id: 'closed.2' })
  disk.copies.set('closed.2', small())
  const later = page()
  await later.look([])
  expect(later.uploads.now()).toHaveLength(1)
  await settle(1)
})

test('a paused upload waits for a click', async () => {
  add(page(), small())
  begin('u1')
  await settle(1)
  made[0]!.pause()
  await vi.waitFor(() => expect(disk.kept[0]!.isPaused).toBe(true))
  disk.open.clear()
  const later = page()
  await later.look([onServer('u1')])
  expect(later.uploads.now()).toEqual([])
  await later.comeback.goOn(onServer('u1'), { uploads: [], isElsewhere: () => false })
  expect(later.uploads.now()).toHaveLength(1)
})

test('what another page keeps is left to it, and what another program sends until it does not', async () => {
  add(page(), small())
  begin('u1')
  await settle(1)
  const later = page()
  await later.look([onServer('u1')])
  disk.open.clear()
  await later.look([onServer('u1')], ['u1'])
  expect(made).toHaveLength(1)
  await later.look([onServer('u1')])
  expect(made).toHaveLength(2)
})

test('what is gone from the list of the server, or of another user, is removed', async () => {
  await interrupted(small())
  const later = page({ key: 'k2' })
  await later.look([onServer('u2')])
  await settle(0)
  expect([made, told, disk.copies.size]).toEqual([[], [], 0])
})

test('files that had no upload yet come back for the same key, and for no other', async () => {
  for (const [key, count] of [['k2', 0], ['k1', 1]] as const) {
    add(page(), small())
    await settle(1)
    disk.open.clear()
    made.length = 0
    await page({ key }).look([])
    expect(made).toHaveLength(count)
    await settle(count)
  }
})

test('where the application knows its users, only what has an upload is kept', async () => {
  const first = page({ asksForKey: false })
  add(first, small('a'))
  add(first, small('b'))
  begin('u1', 1)
  await settle(1)
  expect(disk.kept[0]!.name).toBe('b')
})

test('a file that has arrived in one request is not sent again', async () => {
  add(page(), small())
  await settle(1)
  disk.open.clear()
  made.length = 0
  const { crc } = await new Source(small()).digest([0, 4])
  const other = onServer('u1', { state: 'complete', digest: renderDigest(crc + 1n) })
  await page().look([other, { ...other, digest: renderDigest(crc) }])
  expect(made).toEqual([])
  await settle(0)
})

test('a file of the same name and size as one that has arrived is sent, if it is another', async () => {
  add(page(), small())
  await settle(1)
  disk.open.clear()
  made.length = 0
  await page().look([onServer('u1', { state: 'complete', digest: renderDigest(1n) })])
  expect(made).toHaveLength(1)
})

test('when the key is forgotten, all is removed and nothing more is kept', async () => {
  const first = page()
  add(first, small())
  begin('u1')
  await settle(1)
  first.keeping.forget()
  first.session.leave()
  await settle(0)
  made[0]!.report({ state: 'retrying' })
  made[0]!.pause()
  await settle(0)
  expect(disk.copies.size).toBe(0)
})

test('nothing is kept for a guest, nor where the server forbids it', async () => {
  for (const place of [{ ticket: 'wt_1' }, { keepsFiles: false }]) {
    const first = page(place)
    add(first, small())
    await settle(0)
    await first.look([])
  }
  expect(disk.copies.size).toBe(0)
})

test('a guest touches nothing that was kept, and a server that forbids it now has it removed', async () => {
  await interrupted(small())
  await page({ ticket: 'wt_1' }).look([])
  expect(disk.copies.size).toBe(1)
  page({ keepsFiles: false })
  await settle(0)
  expect(disk.copies.size).toBe(0)
})

test('a browser that keeps nothing uploads as any other', async () => {
  disk.isForbidden = true
  const first = page()
  add(first, small())
  begin('u1')
  await settle(0)
  await first.look([])
  expect(made[0]!.calls).toEqual(['start'])
})

test('copies leave nine tenths of the room, and a file that is not copied keeps its handle', async () => {
  disk.free = 39
  const first = page()
  add(first, small('a'))
  add(first, small('b'), handleTo(small('b')))
  await settle(1)
  expect(disk.kept.map(({ name }) => name)).toEqual(['b'])
  expect(disk.copies.size).toBe(0)
})

test('a recording is copied although it is large, because it is nowhere else', async () => {
  const file = large()
  page().uploads.add([{ file, path: file.name, isRecorded: true }], [])
  await settle(1)
  expect(disk.copies.size).toBe(1)
})

test('a copy whose page was closed before it was recorded is removed, and so is what is old', async () => {
  await interrupted(small())
  disk.copies.set('unique-1.9', small())
  const [kept] = disk.kept
  disk.records.set(kept!.id, { ...kept!, keptAt: Date.now() - 8 * 24 * 3600 * 1000 })
  await page().look([onServer('u1')])
  expect([made, disk.kept, disk.copies.size]).toEqual([[], [], 0])
})

test('a file that its user has not started comes back with its name and details, and waits', async () => {
  const first = page()
  first.uploads.waits = true
  add(first, small())
  await settle(1)
  first.uploads.edit(first.uploads.now()[0]!, 'talk.mp4', { Title: 'A talk' })
  await settle(1)
  disk.open.clear()
  const second = page()
  await second.look([])
  expect(made).toEqual([])
  second.uploads.resumeAll()
  expect(made.map(({ options }) => [options.filename, options.metadata])).toEqual([
    ['talk.mp4', { Title: 'A talk' }],
  ])
  await settle(1)
})
