/** The end is sent second; what both ends show is told, and the upload does not wait for it. */

import { expect, test } from 'vitest'
import { hasArrived, problem, someFile, STEP } from './testing/fake'
import { environment, server, upload } from './testing/scene'
import type { EarlyVerdict } from './types'

const FOUND = {
  state: 'known',
  verdict: 'fail',
  policy: 'web',
  findings: [{ code: 'VIDEO-MISSING', severity: 'fail', message: 'The file has no video.' }],
}

function wantsTheEnd(): void {
  server.tail = 4 * STEP
  server.early = FOUND
  server.concurrency = 1
  server.hold = ({ verb }) => (verb === 'chunk' ? slowly() : Promise.resolve())
}

/** So long takes a chunk. */
const slowly = (): Promise<void> => new Promise((resolve) => environment.after(10, () => resolve()))

test('the end is sent second, and what both ends show is told while the rest waits', async () => {
  wantsTheEnd()
  const file = someFile(40 * STEP)
  const told: EarlyVerdict[] = []
  let tell: () => void
  const isTold = new Promise<void>((resolve) => (tell = resolve))
  server.hold = async ({ verb }) => {
    if (verb === 'chunk') await slowly()
    if (verb === 'chunk' && server.verbs('chunk').length > 8) await isTold
  }
  await upload(file, {
    onEarly: (early) => {
      told.push(early)
      tell()
    },
  }).start()
  const offsets = server.verbs('chunk').map(({ query }) => Number(query.get('offset')))
  expect(offsets.slice(0, 2)).toEqual([0, 36 * STEP])
  expect(await hasArrived(server.only, file)).toBe(true)
  expect(told.map(({ verdict, findings }) => [verdict, findings[0]!.message])).toEqual([
    ['fail', 'The file has no video.'],
  ])
})

test('an upload goes on where the early verdict cannot be had, or is late', async () => {
  wantsTheEnd()
  for (const late of [true, false]) {
    server.trouble = ({ verb }) => (verb === 'early-verdict' && !late ? problem(404, 'gone') : null)
    server.hold = ({ verb }) =>
      verb === 'early-verdict' ? (late ? new Promise(() => undefined) : Promise.resolve()) : slowly()
    const result = await upload(someFile(40 * STEP, late ? 1 : 2), {
      onEarly: () => expect.unreachable(),
    }).start()
    expect(result.state).toBe('complete')
  }
})

test('nobody asks who does not want to know', async () => {
  wantsTheEnd()
  await upload(someFile(40 * STEP)).start()
  expect(server.verbs('early-verdict')).toEqual([])
})

test('an upload that is nearly over does not ask', async () => {
  wantsTheEnd()
  server.hold = () => Promise.resolve()
  await upload(someFile(40 * STEP), { onEarly: () => expect.unreachable() }).start()
  expect(server.verbs('early-verdict')).toEqual([])
})
