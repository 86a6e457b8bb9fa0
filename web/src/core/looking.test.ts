/** A chunk whose answer is not Wherry's: the client asks for the status before it goes on. */

import { describe, expect, test } from 'vitest'
import { hasArrived, lost, page, problem, reply, someFile, STEP } from './testing/fake'
import { failure, server, upload } from './testing/scene'

describe("a refusal behind a proxy's 502", () => {
  test.each([
    [problem(401, 'unauthorized'), 'Unauthorized'],
    [page(403), 'Unauthorized'],
    [problem(404, 'upload-not-found'), 'UploadGone'],
    [page(404), 'Refused'],
    [reply(200, { upload_id: 'u1', state: 'cancelled' }), 'UploadGone'],
    [reply(200, { upload_id: 'u1', state: 'failed' }), 'UploadGone'],
  ])('is told at once with its own cause (%#)', async (status, name) => {
    server.trouble = ({ verb }) =>
      verb === 'chunk' ? page(502) : verb === 'status' ? status : null
    expect(await failure(upload(someFile(9 * STEP)).start())).toMatchObject({ name })
    expect(server.verbs('chunk').length).toBe(1)
  })
})

test.each([
  ["a proxy's 504", page(504)],
  ['a lost answer', lost()],
  ['a page that is no answer', { ...page(200) }],
])('bytes that arrived behind %s are not sent again', async (_, instead) => {
  let left = 1
  server.after = ({ verb }) => (verb === 'chunk' && left-- > 0 ? instead : null)
  const file = someFile(9 * STEP)
  const one = upload(file)
  await one.start()
  expect(await hasArrived(server.only, file)).toBe(true)
  expect(server.verbs('chunk').reduce((sum, { size }) => sum + size, 0)).toBe(file.size)
  expect(one.details.refusedSize).toBeNull()
  expect(server.verbs('status').length).toBe(1)
})

test('an upload that another client has brought meanwhile is completed', async () => {
  const file = someFile(9 * STEP)
  server.trouble = ({ verb }) => {
    if (verb !== 'chunk') return null
    server.only.received = [[0, file.size]]
    server.only.state = 'completing'
    return page(502)
  }
  server.after = ({ verb }) => {
    if (verb === 'complete') server.only.state = 'complete'
    return null
  }
  expect(await upload(file).start()).toMatchObject({ state: 'complete' })
  expect(server.verbs('chunk').length).toBe(1)
})

test('an early refusal that a proxy turns into its 502 makes the chunks smaller', async () => {
  server.trouble = ({ verb, size }) => (verb === 'chunk' && size > STEP ? page(502) : null)
  const file = someFile(9 * STEP)
  const one = upload(file)
  await one.start()
  expect(await hasArrived(server.only, file)).toBe(true)
  expect(one.details.refusedSize).toBe(2 * STEP)
  const lost = server.verbs('chunk').filter(({ size }) => size > STEP)
  expect(new Set(lost.map(({ size }) => size))).toEqual(new Set([2 * STEP]))
})

test('a connection that is lost right after a refusal says nothing of the way', async () => {
  let step = 0
  server.trouble = ({ verb, size }) => {
    if (verb !== 'chunk') return null
    if (size > STEP) return page(413)
    return ++step === 1 ? lost() : null
  }
  const file = someFile(9 * STEP)
  const one = upload(file)
  await one.start()
  expect(await hasArrived(server.only, file)).toBe(true)
  expect(one.details.chunkSize).toBe(STEP)
  expect(server.verbs('status')).toEqual([])
})
