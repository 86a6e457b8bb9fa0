import { beforeEach, expect, test, vi } from 'vitest'
import { ConnectionLost, Refused } from '../core'
import { fileOf, made, MiB } from '../core/testing/upload'
import { ANYTHING } from './accepted'
import { known } from './scene'
import { Session } from './session'
import { totalsOf } from './totals'
import { Uploads } from './uploads'
import type { Item } from './uploads'

vi.mock('../core', async (original) => ({
  ...(await original<typeof import('../core')>()),
  createUpload: (await import('../core/testing/upload')).fakeCreateUpload,
}))

let session: Session
let uploads: Uploads

beforeEach(() => {
  made.length = 0
  session = new Session({ api: 'http://here/api', asksForKey: true, ticket: null })
  uploads = new Uploads(session)
  uploads.open()
})

const add = (...files: [name: string, size: number][]) =>
  uploads.add(
    files.map(([name, size]) => ({ file: fileOf(name, size), path: name })),
    [],
  )
const small = (count: number) => Array.from({ length: count }, (_, n) => [`${n}.jpg`, 1000] as [string, number])
const states = () => uploads.now().map((item) => item.state)
const begun = () => made.map((one) => one.file.name)
const item = (index: number): Item => uploads.now()[index]!

test('a paused file gives its slot to the next', () => {
  add(['a', 20 * MiB], ['b', 20 * MiB], ['c', 20 * MiB], ['d', 20 * MiB])
  expect(begun()).toEqual(['a', 'b'])
  made[1]!.pause()
  expect(begun()).toEqual(['a', 'b', 'c'])
  made[0]!.report({ state: 'retrying' })
  expect(begun()).toEqual(['a', 'b', 'c'])
})

test('no small file overtakes a large one', () => {
  add(...small(3), ['large', 20 * MiB], ['last.jpg', 1000])
  expect(begun()).toEqual(['0.jpg', '1.jpg', '2.jpg'])
})

test('a pause of all pauses what moves and holds what waits, also what is chosen meanwhile', async () => {
  add(...small(6))
  made[0]!.report({ state: 'completing' })
  uploads.pauseAll()
  add(['late.jpg', 1])
  expect(states()).toEqual(['completing', 'paused', 'paused', 'paused', 'queued', 'queued', 'queued'])
  await made[0]!.succeed()
  expect(made).toHaveLength(4)
  uploads.resumeAll()
  expect(states().slice(1, 5)).toEqual(['sending', 'sending', 'sending', 'starting'])
  expect(made).toHaveLength(5)
})

test('of many that are resumed, no more move at once than otherwise', () => {
  add(...small(12))
  for (let paused = 0; paused < 12; paused++) made[paused]!.pause()
  expect(states()).toEqual(Array(12).fill('paused'))
  uploads.resumeAll()
  expect(states().filter((state) => state === 'sending')).toHaveLength(4)
})

test('trying all again leaves those alone that would only be refused again', async () => {
  add(['a', 1], ['b', 2])
  await made[0]!.fail(new ConnectionLost('lost'))
  await made[1]!.fail(new Refused('no', { code: 'type-refused' }))
  await vi.waitFor(() => expect(item(1).failure).not.toBeNull())
  uploads.againAll()
  expect(made.map((one) => one.calls)).toEqual([['start', 'start'], ['start']])
})

test('cancelling all ends what has begun on the server, and forgets the rest', async () => {
  add(...small(6))
  made[0]!.report({ state: 'sending', bytesSafe: 500 })
  await made[1]!.succeed()
  await uploads.cancelAll()
  expect(states()).toEqual(['cancelled', 'done', 'cancelled', 'cancelled', 'cancelled'])
  expect(made).toHaveLength(5)
  uploads.clearFinished()
  expect(states()).toEqual([])
})

test('nothing begins while a key is wanted, and all goes on with one', () => {
  session.refused(0)
  add(...small(2))
  expect(made).toEqual([])
  session.giveKey('k1', false)
  expect(begun()).toEqual(['0.jpg', '1.jpg'])
})

test('what the server would refuse is refused here, also if its limits come late', () => {
  uploads.pauseAll()
  add(['large', 2 * MiB], ['small', 1])
  uploads.accept({ ...ANYTHING, max_size: MiB, allowed_types: [] })
  uploads.resumeAll()
  expect(states()).toEqual(['refused', 'starting'])
  add(['larger', 3 * MiB])
  expect(states()).toEqual(['refused', 'starting', 'refused'])
})

test('a file in a folder goes up with its path', () => {
  uploads.add([{ file: fileOf('beach.jpg', 1), path: 'holiday/beach.jpg' }], [])
  add(['beach.jpg', 1])
  expect(made.map((one) => one.options.metadata)).toEqual([
    { relative_path: 'holiday/beach.jpg' },
    undefined,
  ])
})

test('the same file is not taken twice, unless it has failed', async () => {
  add(['a', 1])
  expect(add(['a', 1], ['b', 1], ['b', 1]).map(({ path }) => path)).toEqual(['a', 'b'])
  await made[0]!.fail(new ConnectionLost('lost'))
  expect(add(['a', 1])).toEqual([])
})

test('totals leave out what was cancelled, and count no byte of what was refused', async () => {
  uploads.accept({ ...ANYTHING, max_size: 4000, allowed_types: [] })
  add(['a', 1000], ['b', 2000], ['c', 3000], ['d', 5000])
  await made[0]!.succeed()
  made[1]!.report({ state: 'sending', bytesSafe: 500, bytesSent: 700, chunkSize: null })
  await made[2]!.cancel()
  expect(totalsOf(uploads.now())).toEqual({
    files: 3,
    done: 1,
    stopped: 1,
    bytes: 3000,
    bytesSent: 1700,
    bytesKept: 500,
  })
})

test('a page that is closed sends nothing more', () => {
  const close = new Uploads(session)
  const end = close.open()
  close.add([{ file: fileOf('a', 1), path: 'a' }], [])
  end()
  expect(made[0]!.calls).toEqual(['start', 'pause'])
})

test('what is to wait begins when its user starts it, with the name and details given until then', () => {
  uploads.waits = true
  uploads.add([{ file: fileOf('IMG_1.jpg', 1), path: 'holiday/IMG_1.jpg' }], [])
  add(['b', 1])
  uploads.edit(item(0), 'beach.jpg', { Title: 'On the beach' })
  expect([made, item(0).path]).toEqual([[], 'holiday/beach.jpg'])
  uploads.start(item(0))
  uploads.edit(item(0), 'late.jpg', {})
  expect(made.map(({ options }) => [options.filename, options.metadata])).toEqual([
    ['beach.jpg', { Title: 'On the beach', relative_path: 'holiday/beach.jpg' }],
  ])
  expect(states()).toEqual(['starting', 'queued'])
  uploads.resumeAll()
  expect(begun()).toEqual(['IMG_1.jpg', 'b'])
})

test('a file whose form is open does not begin until it is closed', () => {
  uploads.pauseAll()
  add(['a', 1], ['b', 1])
  uploads.holdForEdit(item(0), true)
  uploads.resumeAll()
  expect(begun()).toEqual(['b'])
  uploads.holdForEdit(item(0), false)
  expect(begun()).toEqual(['b', 'a'])
})

test('a file that is refused for its name alone goes up with another one', () => {
  add(['photo\u202e4pm.exe', 1])
  expect([states(), item(0).mayBeEdited]).toEqual([['refused'], true])
  uploads.edit(item(0), '..', {})
  expect(states()).toEqual(['refused'])
  uploads.edit(item(0), 'photo.exe', {})
  expect(made.map(({ options }) => options.filename)).toEqual(['photo.exe'])
})

test('a file for an unfinished upload begins at once, and is called as it is there', () => {
  uploads.waits = true
  uploads.add([{ file: fileOf('IMG_1.mp4'), path: 'IMG_1.mp4', called: 'talk.mp4' }], [], known())
  expect(made.map(({ options }) => options.filename)).toEqual(['talk.mp4'])
  expect(item(0).mayBeEdited).toBe(false)
})
