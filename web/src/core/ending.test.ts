/** How an upload ends, and how it goes on when it has been left. */

import { describe, expect, test } from 'vitest'
import { FakeEnvironment, hasArrived, lost, page, problem, reply, someFile, STEP } from './testing/fake'
import { failure, server, upload, environment } from './testing/scene'

describe('completion', () => {
  test('whose answer is lost is asked for again', async () => {
    let count = 0
    server.after = ({ verb }) => (verb === 'complete' && ++count < 3 ? lost() : null)
    expect((await upload(someFile(9)).start()).assessment_id).toBe('a-u1')
  })

  test('that takes longer is waited for', async () => {
    let count = 0
    server.trouble = ({ verb, json }) =>
      verb === 'complete' && ++count < 4
        ? reply(202, { upload_id: json['upload_id'], state: 'completing', assessment_id: null })
        : null
    expect((await upload(someFile(9)).start()).assessment_id).toBe('a-u1')
    expect(environment.clock.now).toBe(3)
  })

  test('that somebody else is at is waited for', async () => {
    let count = 0
    server.trouble = ({ verb }) =>
      verb === 'complete' && ++count < 4
        ? problem(503, 'busy', { retryable: true, retry_after: 5 })
        : null
    await upload(someFile(9)).start()
    expect(environment.clock.now).toBe(15)
  })

  test('sends what the server has lost', async () => {
    const file = someFile(20 * STEP)
    let isLost = false
    server.trouble = ({ verb }) => {
      if (verb === 'complete' && !isLost) {
        isLost = true
        server.only.received = [[0, 10 * STEP]]
        server.only.data.fill(0, 10 * STEP)
      }
      return null
    }
    await upload(file).start()
    expect(await hasArrived(server.only, file)).toBe(true)
  })

  test('does not go on for ever with a server that loses everything', async () => {
    server.trouble = ({ verb }) => {
      if (verb === 'complete') server.only.received = []
      return null
    }
    const error = await failure(upload(someFile(2 * STEP)).start())
    expect(error).toMatchObject({ name: 'ServerFailed', code: 'bytes-missing' })
    expect(server.verbs('complete')).toHaveLength(3)
  })

  test('that failed after the last try is found by the next', async () => {
    server.after = ({ verb }) => (verb === 'complete' ? lost() : null)
    const one = upload(someFile(9), { patience: 1 })
    expect(await failure(one.start())).toMatchObject({ name: 'GaveUp' })
    server.after = () => null
    expect((await one.start()).upload_id).toBe('u1')
    expect(server.uploads.size).toBe(1)
  })
})

describe('an upload that is gone', () => {
  test('because nobody cared for it is begun once more', async () => {
    const file = someFile(9 * STEP)
    let chunks = 0
    server.trouble = ({ verb }) => {
      if (verb === 'chunk' && ++chunks === 2) server.only.state = 'expired'
      return null
    }
    const result = await upload(file).start()
    expect(result.upload_id).toBe('u2')
    expect(await hasArrived(server.uploads.get('u2'), file)).toBe(true)
  })

  test('because somebody cancelled it stays gone', async () => {
    server.trouble = ({ verb }) => {
      if (verb === 'chunk') server.only.state = 'cancelled'
      return null
    }
    const one = upload(someFile(9))
    expect(await failure(one.start())).toMatchObject({ name: 'UploadGone', code: 'upload-gone' })
    server.trouble = () => null
    expect((await one.start()).upload_id).toBe('u2')
  })
})

describe('a reload', () => {
  test('sends only what is missing when the same file is chosen again', async () => {
    let chunks = 0
    server.trouble = ({ verb }) => (verb === 'chunk' && ++chunks > 3 ? page(403) : null)
    await failure(upload(someFile(20 * STEP + 5), { concurrency: 1 }).start())
    const had = server.only.received
    expect(had).toEqual([[0, 10 * STEP]])
    server.trouble = () => null
    const before = server.asked.length
    const file = someFile(20 * STEP + 5)
    await upload(file, {}, false, new FakeEnvironment(server)).start()
    const sent = server.asked.slice(before).filter(({ verb }) => verb === 'chunk')
    expect(Math.min(...sent.map(({ query }) => Number(query.get('offset'))))).toBe(10 * STEP)
    expect(await hasArrived(server.only, file)).toBe(true)
    expect(server.verbs('complete').at(-1)?.json['digest']).toMatch(/^crc64nvme=:/)
  })

  test('remembers what the way does not let through', async () => {
    server.maxBody = 2 * STEP
    const environment = new FakeEnvironment(server)
    await upload(someFile(20 * STEP), {}, false, environment).start()
    const refused = () => server.verbs('chunk').filter(({ size }) => size > server.maxBody).length
    const before = refused()
    expect(before).toBeGreaterThan(0)
    environment.paths = new Map() // as after a reload
    await upload(someFile(20 * STEP, 2), {}, false, environment).start()
    expect(refused()).toBe(before)
  })

  test('never mixes two files', async () => {
    const first = upload(someFile(9))
    await first.start()
    server.only.state = 'receiving'
    await upload(someFile(9, 2)).start()
    expect(server.uploads.size).toBe(2)
  })

  test('may be told to begin anew', async () => {
    server.trouble = ({ verb }) => (verb === 'chunk' ? page(403) : null)
    const one = upload(someFile(9), { fingerprint: false })
    await failure(one.start())
    await failure(upload(someFile(9), { fingerprint: false }).start())
    expect(server.uploads.size).toBe(2)
    server.trouble = () => null
    expect((await one.start()).upload_id).toBe('u1')
  })
})
