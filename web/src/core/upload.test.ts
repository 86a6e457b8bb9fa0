/** What the client does when servers, proxies and browsers do what they do. */

import { beforeEach, describe, expect, test } from 'vitest'
import {
  FakeServer,
  FakeWorld,
  hasArrived,
  listened,
  lost,
  page,
  problem,
  reply,
  someFile,
  STEP,
} from './testing/fake'
import type { UploadDetails, UploadOptions } from './types'
import { defaults, leave, OneUpload, type How } from './upload'

let server: FakeServer
let world: FakeWorld

beforeEach(() => {
  server = new FakeServer()
  world = new FakeWorld(server)
})

function upload(
  file: File,
  options: UploadOptions = {},
  how: How = 'chunks',
  in_ = world,
): OneUpload {
  return new OneUpload(file, options, how, in_)
}

async function failure(promise: Promise<unknown>): Promise<Record<string, unknown>> {
  const error = await promise.then(
    () => new Error('it went well'),
    (error: unknown) => error,
  )
  return error as Record<string, unknown>
}

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
    expect(server.verbs('chunk').filter((chunk) => chunk.size > server.maxBody)).toHaveLength(2)
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
    expect(world.clock.now).toBeLessThanOrEqual(10)
  })

  test('that fails is not an upload that failed', async () => {
    const headers = () => Promise.reject(new Error('413 too large'))
    const error = await failure(upload(someFile(9), { headers }).start())
    expect(error).toMatchObject({ name: 'Unauthorized', code: 'no-headers' })
    expect(error['message']).not.toMatch(/413|too large/)
  })
})

describe('the waiting line', () => {
  /** While it is stood in, this becomes of the upload. */
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

  test('is stood in anew when the turn was missed', async () => {
    meanwhile('expired')
    expect(await upload(someFile(9)).start()).toMatchObject({ upload_id: 'u2' })
    expect(server.verbs('init')).toHaveLength(2)
  })

  test('is waited in, place by place', async () => {
    const told: UploadDetails[] = []
    let place = 3
    server.after = ({ verb }) => {
      const one = server.only
      if (verb === 'init' && place === 3) {
        one.state = 'waiting'
        one.position = place
        return reply(202, { upload_id: one.id, state: 'waiting', position: 3, retry_after: 7 })
      }
      if (verb === 'status' && one.state === 'waiting') {
        one.position = --place || null
        if (!place) one.state = 'receiving'
      }
      return null
    }
    await upload(someFile(9), { onProgress: (_, details) => told.push(details) }).start()
    const waiting = told.filter(({ state }) => state === 'waiting')
    expect(waiting.map(({ position }) => position)).toEqual([3, 3, 2, 1])
    expect(waiting[0]?.retryAfter).toBe(7)
    expect(server.verbs('init')).toHaveLength(2)
  })

  test('is stood in again when the turn was lost', async () => {
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
    expect(world.clock.now).toBeGreaterThan(1900)
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
    world.now = () => world.clock.now + ++looks * 1e-5
    world.after = (seconds, act) => world.clock.after(Math.max(seconds - 2e-5, 0), act)
    let count = 0
    server.trouble = ({ verb }) => (verb === 'chunk' && ++count % 2 === 0 ? page(502) : null)
    await upload(someFile(20 * STEP), { chunkSize: STEP }).start()
    expect(server.only.state).toBe('complete')
  })

  test('that does not end makes it give up after its patience', async () => {
    server.trouble = ({ verb }) => (verb === 'chunk' ? page(502) : null)
    const error = await failure(upload(someFile(9), { patience: 60 }).start())
    expect(error).toMatchObject({ name: 'GaveUp', status: 502, retryable: true })
    expect(world.clock.now).toBeLessThanOrEqual(60)
    expect(server.verbs('cancel')).toHaveLength(0)
  })

  test('sends the smallest chunk first', async () => {
    let chunks = 0
    server.trouble = ({ verb }) =>
      verb === 'chunk' && ++chunks > 3 && chunks < 6 ? page(502) : null
    await upload(someFile(40 * STEP), { concurrency: 1 }).start()
    expect(server.verbs('chunk').map(({ size }) => size / STEP)).toEqual([
      4, 4, 4, 4, 1, 1, 4, 4, 4, 4, 4, 4, 3,
    ])
  })

  test('of being offline spends no patience, and ends with the event', async () => {
    const one = upload(someFile(9), { patience: 1 })
    world.online = false
    const started = one.start()
    while (world.clock.now < 1000) await new Promise((resolve) => setTimeout(resolve, 1))
    expect(one.details).toMatchObject({ state: 'retrying', problem: 'There is no network.' })
    world.comeBack()
    await started
  })

  test('at a wrong address is told at once', async () => {
    server.trouble = () => page(200)
    const error = await failure(upload(someFile(9)).start())
    expect(error).toMatchObject({ name: 'UnexpectedAnswer' })
    expect(world.clock.now).toBe(0)
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
    expect(world.clock.now).toBe(3)
  })

  test('that somebody else is at is waited for', async () => {
    let count = 0
    server.trouble = ({ verb }) =>
      verb === 'complete' && ++count < 4
        ? problem(503, 'busy', { retryable: true, retry_after: 5 })
        : null
    await upload(someFile(9)).start()
    expect(world.clock.now).toBe(15)
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
    expect(had).toEqual([[0, 12 * STEP]])
    server.trouble = () => null
    const before = server.asked.length
    const file = someFile(20 * STEP + 5)
    await upload(file, {}, 'chunks', new FakeWorld(server)).start()
    const sent = server.asked.slice(before).filter(({ verb }) => verb === 'chunk')
    expect(Math.min(...sent.map(({ query }) => Number(query.get('offset'))))).toBe(12 * STEP)
    expect(await hasArrived(server.only, file)).toBe(true)
    expect(server.verbs('complete').at(-1)?.json['digest']).toMatch(/^crc64nvme=:/)
  })

  test('remembers what the way does not let through', async () => {
    server.maxBody = 2 * STEP
    const world = new FakeWorld(server)
    await upload(someFile(20 * STEP), {}, 'chunks', world).start()
    const refused = () => server.verbs('chunk').filter(({ size }) => size > server.maxBody).length
    const before = refused()
    expect(before).toBeGreaterThan(0)
    world.ways = new Map() // as after a reload
    await upload(someFile(20 * STEP, 2), {}, 'chunks', world).start()
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

describe('the caller', () => {
  test('cancels on the server too', async () => {
    const abort = new AbortController()
    server.trouble = ({ verb }) => {
      if (verb === 'chunk') abort.abort('because')
      return null
    }
    const one = upload(someFile(9 * STEP), { signal: abort.signal })
    const error = await failure(one.start())
    expect(error).toMatchObject({ name: 'AbortError', code: 'aborted', cause: 'because' })
    expect(server.only.state).toBe('cancelled')
    expect(one.details.state).toBe('cancelled')
  })

  test('cancels while it begins, and no upload is left behind', async () => {
    const one = upload(someFile(9 * STEP))
    server.hold = async ({ verb }) => {
      if (verb === 'init') void one.cancel()
    }
    expect(await failure(one.start())).toMatchObject({ name: 'AbortError' })
    expect(server.only.state).toBe('cancelled')
  })

  test('that has aborted before sends nothing', async () => {
    const error = await failure(upload(someFile(9), { signal: AbortSignal.abort() }).start())
    expect(error).toMatchObject({ name: 'AbortError' })
    expect(server.asked).toEqual([])
  })

  test('cancels on a server that does not hear it at once', async () => {
    let deaf = 3
    server.trouble = ({ verb }) => (verb === 'cancel' && deaf-- > 0 ? lost() : null)
    const one = upload(someFile(9 * STEP))
    server.hold = async ({ verb }) => {
      if (verb === 'chunk') void one.cancel()
    }
    await failure(one.start())
    expect(server.only.state).toBe('cancelled')
  })

  test('cancels while the server is away', async () => {
    server.trouble = ({ verb }) => (verb === 'init' ? null : lost())
    const one = upload(someFile(9 * STEP))
    const started = failure(one.start())
    while (one.details.state !== 'retrying') await new Promise((resolve) => setTimeout(resolve, 1))
    await one.cancel()
    expect(await started).toMatchObject({ name: 'AbortError' })
  })

  test('may begin again after a cancel', async () => {
    const one = upload(someFile(9 * STEP))
    server.hold = async ({ verb }) => {
      if (verb === 'chunk' && server.uploads.size === 1) void one.cancel()
    }
    await failure(one.start())
    expect((await one.start()).upload_id).toBe('u2')
  })

  test('pauses and goes on', async () => {
    const states: string[] = []
    const file = someFile(20 * STEP)
    const one = upload(file, { onProgress: (_, { state }) => states.push(state) })
    let chunks = 0
    server.after = ({ verb }) => {
      if (verb === 'chunk' && ++chunks === 2) {
        one.pause()
        setTimeout(() => {
          expect(server.atOnce).toBe(0)
          expect(one.details).toMatchObject({ state: 'paused', sending: [] })
          one.resume()
        }, 50)
      }
      return null
    }
    await one.start()
    expect(states).toContain('paused')
    expect(await hasArrived(server.only, file)).toBe(true)
  })

  test('that pauses is not waited for by the window', async () => {
    const one = upload(someFile(20 * STEP))
    server.hold = async ({ verb }) => {
      if (verb === 'chunk') one.pause()
    }
    const started = one.start()
    while (world.listening) await new Promise((resolve) => setTimeout(resolve, 1))
    expect(one.details.state).toBe('paused')
    server.hold = async () => expect(world.listening).toBe(1)
    one.resume()
    await started
    expect(world.listening).toBe(0)
  })

  test('that resumes does so at once, if the network came back during the pause', async () => {
    const one = upload(someFile(20 * STEP))
    server.trouble = ({ verb }) => {
      if (verb !== 'chunk') return null
      world.online = false
      return lost()
    }
    const started = one.start()
    while (one.details.problem !== 'There is no network.')
      await new Promise((resolve) => setTimeout(resolve, 1))
    one.pause()
    while (world.listening) await new Promise((resolve) => setTimeout(resolve, 1))
    server.trouble = () => null
    world.comeBack()
    const before = world.clock.now
    one.resume()
    await started
    expect(world.clock.now).toBe(before)
  })

  test.each(['while it sends', 'while it is paused'])(
    'that leaves %s ends it here alone, and may come back',
    async (when) => {
      const signal = listened()
      const file = someFile(20 * STEP)
      const one = upload(file, { signal })
      let chunks = 0
      server.hold = async ({ verb }) => {
        if (verb !== 'chunk' || ++chunks !== 3) return
        if (when === 'while it sends') leave(one)
        else one.pause()
      }
      const started = failure(one.start())
      if (when !== 'while it sends') {
        while (one.details.state !== 'paused')
          await new Promise((resolve) => setTimeout(resolve, 1))
        leave(one)
      }
      expect(await started).toMatchObject({ name: 'AbortError' })
      expect([world.listening, signal.listening]).toEqual([0, 0])
      expect(one.details.state).toBe('paused')
      expect(server.only.state).toBe('receiving')
      expect(server.verbs('cancel')).toEqual([])
      server.hold = async () => undefined
      expect(await one.start()).toMatchObject({ upload_id: 'u1', state: 'complete' })
      expect(await hasArrived(server.only, file)).toBe(true)
    },
  )

  test('that leaves what is not under way, or is cancelled, changes nothing', async () => {
    const one = upload(someFile(9 * STEP))
    leave(one)
    expect(one.details.state).toBe('starting')
    server.hold = async ({ verb }) => {
      if (verb !== 'chunk') return
      void one.cancel()
      leave(one)
    }
    await failure(one.start())
    expect(one.details.state).toBe('cancelled')
    expect(server.only.state).toBe('cancelled')
  })

  test('hears a percentage that never goes down', async () => {
    const percents: number[] = []
    let count = 0
    server.maxBody = 3 * STEP
    server.trouble = ({ verb }) => (verb === 'chunk' && ++count % 3 === 0 ? lost() : null)
    await upload(someFile(40 * STEP), { onProgress: (percent) => percents.push(percent) }).start()
    expect(percents).toEqual([...percents].sort((a, b) => a - b))
    expect(percents[0]).toBe(0)
    expect(percents.at(-1)).toBe(100)
  })

  test('sees where each byte is', async () => {
    let seen: UploadDetails | null = null
    const one = upload(someFile(40 * STEP))
    server.trouble = ({ verb }) => {
      if (verb === 'chunk' && server.verbs('chunk').length === 5) seen = one.details
      return null
    }
    await one.start()
    expect(seen).toMatchObject({
      state: 'sending',
      bytesTotal: 40 * STEP,
      chunksTotal: 10,
      chunkSize: 4 * STEP,
    })
    const { safe, sending, bytesSafe, bytesSent, chunksDone } = seen! as UploadDetails
    expect(safe[0]![0]).toBe(0)
    expect(sending.length).toBeGreaterThan(0)
    expect(bytesSafe).toBe(chunksDone * 4 * STEP)
    expect(bytesSent).toBeGreaterThan(bytesSafe)
    expect(one.details).toMatchObject({ state: 'done', bytesSafe: 40 * STEP, chunksDone: 10 })
  })

  test('that shows progress wrongly does not end the upload', async () => {
    const errors: unknown[] = []
    const note = (error: unknown): void => void errors.push(error)
    process.on('unhandledRejection', note)
    const onProgress = (): void => {
      throw new Error('theirs')
    }
    await upload(someFile(9), { onProgress }).start()
    await new Promise((resolve) => setTimeout(resolve, 10))
    process.off('unhandledRejection', note)
    expect(errors.length).toBeGreaterThan(0)
  })

  test('that gives no file hears so', () => {
    expect(() => upload('film.mp4' as unknown as File)).toThrow(TypeError)
  })
})

describe('one request', () => {
  test('brings a file', async () => {
    const percents: number[] = []
    const file = someFile(20 * STEP)
    const result = await upload(file, { onProgress: (p) => percents.push(p) }, 'whole').start()
    expect(result).toMatchObject({ upload_id: 'u1', assessment_id: 'a-u1' })
    expect(await hasArrived(server.only, file)).toBe(true)
    expect(percents.at(-1)).toBe(100)
    expect(server.asked).toHaveLength(1)
  })

  test.each([
    [page(413), 'TooLarge'],
    [page(500), 'ServerFailed'],
    [page(403), 'Unauthorized'],
    [lost(), 'ConnectionLost'],
  ])('that fails is thrown on', async (answer, name) => {
    server.trouble = () => answer
    const error = await failure(upload(someFile(9), {}, 'whole').start())
    expect(error).toMatchObject({ name })
    expect(/413|too large/.test(String(error['message']))).toBe(name === 'TooLarge')
  })

  test('that is refused for its size is sent in chunks by a smart upload', async () => {
    server.maxBody = 2 * STEP
    const file = someFile(5 * STEP)
    await upload(file, {}, 'smart').start()
    expect(await hasArrived(server.only, file)).toBe(true)
    expect(server.verbs('upload')).toHaveLength(1)
  })

  test('is not tried by a smart upload where it is sure to be too large', async () => {
    await upload(someFile(100 * STEP), {}, 'smart').start()
    expect(server.verbs('upload')).toHaveLength(0)
  })

  test.each([page(500), page(403)])(
    'that fails otherwise is thrown on by a smart upload',
    async (answer) => {
      server.trouble = ({ verb }) => (verb === 'upload' ? answer : null)
      await failure(upload(someFile(9), {}, 'smart').start())
      expect(server.verbs('init')).toHaveLength(0)
    },
  )

  test('whose answer is lost is not sent twice', async () => {
    server.after = () => lost()
    const error = await failure(upload(someFile(9), {}, 'smart').start())
    expect(error).toMatchObject({ name: 'AnswerLost', code: 'answer-lost' })
    expect(server.uploads.size).toBe(1)
  })

  test('that finds no room waits in chunks', async () => {
    server.trouble = ({ verb }) =>
      verb === 'upload' ? problem(503, 'no-room', { retryable: true, retry_after: 5 }) : null
    await upload(someFile(9), {}, 'smart').start()
    expect(server.verbs('init')).toHaveLength(1)
  })
})

describe('words', () => {
  test.each([400, 401, 403, 404, 409, 410, 415, 422, 500, 503, 507])(
    'of a refusal for size come with no other, as with %i',
    async (status) => {
      server.prefix = 'a413b'
      const facts = { detail: 'a413b: 4130 bytes are too large', title: '413', received: 4130 }
      server.trouble = ({ verb }) => (verb === 'chunk' ? problem(status, 'a413b', facts) : null)
      const error = await failure(upload(someFile(4130), { patience: 1 }).start())
      expect(error['message']).not.toMatch(/413|too large/i)
      expect(error['facts']).toMatchObject(facts)
    },
  )

  test('of a refusal for size come with it', async () => {
    server.trouble = () => problem(413, 'too-large', { scope: 'file', limit: 5, provided: 9 })
    const error = await failure(upload(someFile(9)).start())
    expect(error).toMatchObject({ name: 'TooLarge', code: 'too-large' })
    expect(error['message']).toContain('too large')
  })
})
