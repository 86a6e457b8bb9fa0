/** What the client does when servers, proxies and browsers do what they do. */

import { describe, expect, test } from 'vitest'
import { hasArrived, lost, page, problem, reply, someFile, STEP } from './testing/fake'
import { failure, server, upload, environment } from './testing/scene'
import type { UploadDetails } from './types'
import { defaults } from './upload'

describe('a file', () => {
  test.each([0, 1, STEP, STEP + 1, 20 * STEP + 7])('of %i bytes arrives', async (size) => {
    const file = someFile(size)
    const result = await upload(file).start()
    expect(result).toMatchObject({ upload_id: 'u1', assessment_id: 'a-u1', state: 'complete' })
    expect(await hasArrived(server.only, file)).toBe(true)
  })

  test('gets through a proxy that takes less than the server says', async () => {
    server.maxBody = 100_000
    const file = someFile(20 * STEP + 7)
    await upload(file).start()
    expect(await hasArrived(server.only, file)).toBe(true)
    expect(server.verbs('chunk').filter((chunk) => chunk.size > server.maxBody)).toHaveLength(1)
  })

  test('is not in trouble while it finds out what gets through', async () => {
    const told: UploadDetails[] = []
    server.maxBody = 100_000
    await upload(someFile(9 * STEP), { onProgress: (_, details) => told.push(details) }).start()
    expect(told.every(({ problem }) => problem === null)).toBe(true)
    expect(told.at(-1)).toMatchObject({ refusedSize: 2 * STEP, chunkSize: STEP })
  })

  test('gets through one that breaks the connection instead of saying so', async () => {
    server.maxBody = 100_000
    server.resets = true
    const file = someFile(20 * STEP + 7)
    await upload(file).start()
    expect(await hasArrived(server.only, file)).toBe(true)
  })

  test('is refused where not even the smallest chunk gets through', async () => {
    server.maxBody = 1000
    const error = await failure(upload(someFile(3 * STEP)).start())
    expect(error).toMatchObject({ name: 'TooLarge', status: 413 })
  })

  test('carries its name, type and metadata', async () => {
    await upload(someFile(9), { metadata: { course: 'physics' }, filename: 'a.mp4' }).start()
    expect(server.only.asked).toMatchObject({
      filename: 'a.mp4',
      size: 9,
      content_type: 'video/mp4',
      metadata: { course: 'physics' },
    })
  })

  test('is checked as a whole and in each chunk', async () => {
    await upload(someFile(5 * STEP)).start()
    expect(server.verbs('chunk').every((chunk) => 'content-digest' in chunk.headers)).toBe(true)
    expect(server.verbs('complete')[0]?.json['digest']).toMatch(/^crc64nvme=:/)
  })

  test('that cannot be read any more is an error of its own', async () => {
    const file = someFile(9 * STEP)
    const slice = file.slice.bind(file)
    let isThere = true
    file.slice = (start, end) => {
      const part = slice(start, end)
      if (!isThere)
        part.arrayBuffer = () => Promise.reject(new DOMException('no', 'NotReadableError'))
      return part
    }
    server.trouble = ({ verb }) => {
      if (verb !== 'chunk') return null
      isThere = false
      return lost() // as the browser says it
    }
    const error = await failure(upload(file).start())
    expect(error).toMatchObject({ name: 'FileChanged', code: 'file-changed' })
    expect(server.only.state).toBe('cancelled')
  })
})

describe('requests', () => {
  test('fly alone until a size has passed', async () => {
    let isFirst = true
    server.hold = async ({ verb }) => {
      await new Promise((resolve) => setTimeout(resolve, 5))
      if (verb === 'chunk' && isFirst) {
        expect(server.atOnce).toBe(1)
        isFirst = false
      }
    }
    await upload(someFile(40 * STEP)).start()
    expect(server.mostAtOnce).toBe(4)
  })

  test('are as many at once as the server allows, and no more than the caller', async () => {
    server.hold = () => new Promise((resolve) => setTimeout(resolve, 5))
    await upload(someFile(40 * STEP), { concurrency: 2 }).start()
    expect(server.mostAtOnce).toBe(2)
  })

  test.each([0, -1, 0.5])('are one at a time at least, also with %d', async (concurrency) => {
    server.hold = () => new Promise((resolve) => setTimeout(resolve, 1))
    await upload(someFile(9 * STEP), { concurrency }).start()
    expect(server.mostAtOnce).toBe(1)
  })

  test('have the size that was learned for the next file too', async () => {
    server.maxBody = 100_000
    await upload(someFile(9 * STEP)).start()
    const before = server.asked.length
    await upload(someFile(9 * STEP, 2)).start()
    const sizes = server.asked.slice(before).map((request) => request.size)
    expect(Math.max(...sizes)).toBeLessThan(server.maxBody)
  })

  test('go to the endpoint that was set for all', async () => {
    defaults.headers = { 'x-csrf': 'token' }
    try {
      await upload(someFile(9)).start()
    } finally {
      delete defaults.headers
    }
    expect(server.asked.every((request) => request.headers['x-csrf'] === 'token')).toBe(true)
  })
})

describe('a login', () => {
  const forever = (request: { headers: Record<string, string> }, good: string) =>
    request.headers['authorization'] === good ? null : problem(401, 'unauthorized')

  test('that expires is asked for again, and the upload goes on', async () => {
    let key = 1
    const given: number[] = []
    const headers = async () => {
      given.push(key)
      return { authorization: `${key}` }
    }
    let chunks = 0
    server.trouble = (request) => {
      if (request.verb === 'chunk' && ++chunks === 3) key = 2
      return forever(request, `${key}`)
    }
    const file = someFile(20 * STEP)
    await upload(file, { headers }).start()
    expect(given).toEqual([1, 2])
    expect(await hasArrived(server.only, file)).toBe(true)
  })

  test('that is no good twice ends it, and the same call goes on later', async () => {
    let good = 'a'
    const file = someFile(20 * STEP)
    const ask = () => ({ authorization: 'a' })
    server.trouble = (request) => {
      if (server.verbs('chunk').length > 2) good = 'b'
      return forever(request, good)
    }
    const one = upload(file, { headers: ask })
    expect(await failure(one.start())).toMatchObject({ name: 'Unauthorized', status: 401 })
    expect(one.details.state).toBe('failed')
    const had = one.details.bytesSafe
    expect(had).toBeGreaterThan(0)
    server.trouble = () => null
    const before = server.asked.length
    await one.start()
    const again = server.asked.slice(before).filter(({ verb }) => verb === 'chunk')
    expect(again.reduce((sum, chunk) => sum + chunk.size, 0)).toBe(file.size - had)
    expect(server.only.state).toBe('complete')
  })

  test.each(['init', 'chunk'])('that never comes keeps no cancel, at %s', async (at) => {
    let asked = 0
    const never = new Promise<never>(() => undefined)
    const headers = () => (++asked === 1 && at === 'chunk' ? {} : never)
    server.trouble = ({ verb }) => (verb === 'chunk' ? problem(401, 'unauthorized') : null)
    const one = upload(someFile(9 * STEP), { headers })
    const started = failure(one.start())
    while (asked < (at === 'chunk' ? 2 : 1)) await new Promise((resolve) => setTimeout(resolve, 1))
    await one.cancel()
    expect(await started).toMatchObject({ name: 'AbortError', code: 'aborted' })
    expect(one.details.state).toBe('cancelled')
    expect(environment.clock.now).toBeLessThanOrEqual(10)
  })

  test('that fails is not an upload that failed', async () => {
    const headers = () => Promise.reject(new Error('413 too large'))
    const error = await failure(upload(someFile(9), { headers }).start())
    expect(error).toMatchObject({ name: 'Unauthorized', code: 'no-headers' })
    expect(error['message']).not.toMatch(/413|too large/)
  })
})

describe('the queue', () => {
  /** The state that the upload gets while it waits in the queue. */
  function meanwhile(state: string): void {
    server.after = ({ verb }) => {
      const one = server.uploads.get('u1')!
      if (verb === 'init' && server.verbs('init').length === 1) {
        one.state = 'waiting'
        one.position = 1
        return reply(202, { upload_id: 'u1', state: 'waiting', position: 1, retry_after: 2 })
      }
      if (verb === 'status' && one.state === 'waiting') {
        one.received = state === 'expired' ? [] : [[0, one.data.length]]
        one.state = state
        one.position = null
      }
      return null
    }
  }

  test('is left where another client has completed the upload meanwhile', async () => {
    meanwhile('complete')
    const one = upload(someFile(9))
    expect(await one.start()).toMatchObject({ upload_id: 'u1', assessment_id: 'a-u1' })
    expect(one.details).toMatchObject({ state: 'done', bytesSafe: 9 })
    expect(server.uploads.size).toBe(1)
    expect(server.verbs('chunk')).toEqual([])
  })

  test('is left where another client is completing it, and the end is waited for', async () => {
    meanwhile('completing')
    server.trouble = ({ verb }) => {
      if (verb === 'complete' && server.verbs('complete').length === 2)
        server.only.state = 'complete'
      return null
    }
    expect(await upload(someFile(9)).start()).toMatchObject({ assessment_id: 'a-u1' })
    expect(server.uploads.size).toBe(1)
    expect(server.verbs('chunk')).toEqual([])
  })

  test('is entered with a new upload when the admitted one sent nothing in time', async () => {
    meanwhile('expired')
    expect(await upload(someFile(9)).start()).toMatchObject({ upload_id: 'u2' })
    expect(server.verbs('init')).toHaveLength(2)
  })

  test('is waited in, position by position', async () => {
    const told: UploadDetails[] = []
    let position = 3
    server.after = ({ verb }) => {
      const one = server.only
      if (verb === 'init' && position === 3) {
        one.state = 'waiting'
        one.position = position
        return reply(202, { upload_id: one.id, state: 'waiting', position: 3, retry_after: 7 })
      }
      if (verb === 'status' && one.state === 'waiting') {
        one.position = --position || null
        if (!position) one.state = 'receiving'
      }
      return null
    }
    await upload(someFile(9), { onProgress: (_, details) => told.push(details) }).start()
    const waiting = told.filter(({ state }) => state === 'waiting')
    expect(waiting.map(({ position }) => position)).toEqual([3, 3, 2, 1])
    expect(waiting[0]?.retryAfter).toBe(7)
    expect(server.verbs('init')).toHaveLength(2)
  })

  test('is waited in again when the slot was lost', async () => {
    const file = someFile(20 * STEP)
    let isLost = false
    let chunks = 0
    server.trouble = ({ verb }) => {
      if (verb === 'chunk' && ++chunks === 3) {
        isLost = true
        server.only.state = 'waiting'
        server.only.position = 1
      }
      return null
    }
    server.after = ({ verb }) => {
      if (verb === 'status' && server.only.state === 'waiting') {
        server.only.state = 'receiving'
        server.only.position = null
      }
      return null
    }
    await upload(file).start()
    expect(isLost).toBe(true)
    expect(server.verbs('status').length).toBeGreaterThan(0)
    expect(await hasArrived(server.only, file)).toBe(true)
  })

  test.each([
    ['a full server', problem(503, 'no-room', { retryable: true, retry_after: 20 })],
    ['a full disk', problem(507, 'disk-full', { retryable: true, retry_after: 20 })],
    ['a proxy under repair', page(503, { 'retry-after': '20' })],
  ])('of %s spends no patience', async (_, answer) => {
    let times = 100
    server.trouble = () => (times-- > 0 ? answer : null)
    await upload(someFile(9), { patience: 30 }).start()
    expect(environment.clock.now).toBeGreaterThan(1900)
  })
})

describe('trouble', () => {
  test('of every tenth chunk is mended by sending it again', async () => {
    let count = 0
    server.trouble = ({ verb }) =>
      verb === 'chunk' && ++count % 10 === 0
        ? problem(500, 'storage-failed', { retryable: true })
        : null
    const file = someFile(100 * STEP)
    await upload(file, { chunkSize: STEP }).start()
    expect(await hasArrived(server.only, file)).toBe(true)
  })

  test('is over also where timers ring a little early, and time passes between two looks', async () => {
    let looks = 0
    environment.now = () => environment.clock.now + ++looks * 1e-5
    environment.after = (seconds, act) => environment.clock.after(Math.max(seconds - 2e-5, 0), act)
    let count = 0
    server.trouble = ({ verb }) => (verb === 'chunk' && ++count % 2 === 0 ? page(502) : null)
    await upload(someFile(20 * STEP), { chunkSize: STEP }).start()
    expect(server.only.state).toBe('complete')
  })

  test('that does not end makes it give up after its patience', async () => {
    server.trouble = ({ verb }) => (verb === 'chunk' ? page(502) : null)
    const error = await failure(upload(someFile(9), { patience: 60 }).start())
    expect(error).toMatchObject({ name: 'GaveUp', status: 502, retryable: true })
    expect(environment.clock.now).toBeLessThanOrEqual(60)
    expect(server.verbs('cancel')).toHaveLength(0)
  })

  test('sends the smallest chunk first', async () => {
    let chunks = 0
    server.trouble = ({ verb }) =>
      verb === 'chunk' && ++chunks > 3 && chunks < 6 ? page(502) : null
    await upload(someFile(40 * STEP), { concurrency: 1 }).start()
    expect(server.verbs('chunk').map(({ size }) => size / STEP)).toEqual([
      2, 4, 4, 4, 1, 1, 4, 4, 4, 4, 4, 4, 4, 1,
    ])
  })

  test('of being offline spends no patience, and ends with the event', async () => {
    const one = upload(someFile(9), { patience: 1 })
    environment.online = false
    const started = one.start()
    while (environment.clock.now < 1000) await new Promise((resolve) => setTimeout(resolve, 1))
    expect(one.details).toMatchObject({ state: 'retrying', problem: 'The browser is offline.' })
    environment.comeBack()
    await started
  })

  test('at a wrong address is told at once', async () => {
    server.trouble = () => page(200)
    const error = await failure(upload(someFile(9)).start())
    expect(error).toMatchObject({ name: 'UnexpectedAnswer' })
    expect(environment.clock.now).toBe(0)
  })

  test.each([
    [400, 'bad-request', 'Refused'],
    [403, 'foreign-origin', 'Unauthorized'],
    [404, 'not-found', 'Refused'],
    [415, 'type-refused', 'Refused'],
    [507, 'never-fits', 'NoSpace'],
  ])('of status %i is thrown on', async (status, code, name) => {
    server.trouble = () => problem(status, code)
    expect(await failure(upload(someFile(9)).start())).toMatchObject({ name, code, status })
  })
})
