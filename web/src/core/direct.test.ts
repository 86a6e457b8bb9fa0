/** Parts that go to the object store, and what happens when it does not take them. */

import { beforeEach, describe, expect, test } from 'vitest'
import { failureOf, parseAddresses } from './direct'
import { OneUpload } from './upload'
import type { UploadDetails, UploadOptions } from './types'
import { FakeEnvironment, hasArrived, lost, problem, reply, someFile, STEP } from './testing/fake'
import { FakeStoreServer } from './testing/store'

const PART = 4 * STEP
const SIZE = 5 * PART + 777
/** All parts but the first. */
const OTHERS = [2, 3, 4, 5, 6]

let server: FakeStoreServer
let environment: FakeEnvironment
let seen: UploadDetails[]

beforeEach(() => {
  server = new FakeStoreServer()
  environment = new FakeEnvironment(server)
  environment.way.passed = server.partSize
  seen = []
})

function upload(file = someFile(SIZE), options: UploadOptions = {}): OneUpload {
  const onProgress = (_: number, details: UploadDetails): void => void seen.push(details)
  return new OneUpload(file, { onProgress, ...options }, false, environment)
}

const states = (): Set<string> => new Set(seen.map(({ state }) => state))
const problems = (): string[] => seen.flatMap(({ problem }) => problem ?? [])
const offsets = (): number[] =>
  server.verbs('chunk').map(({ query }) => Number(query.get('offset')))
const sorted = (numbers: number[]): number[] => [...numbers].sort((a, b) => a - b)

describe('where the server offers it', () => {
  test('all parts but the first go to the store, and nothing of the login', async () => {
    const file = someFile(SIZE)
    await upload(file, { headers: { authorization: 'Bearer t' } }).start()
    expect(await hasArrived(server.only, file)).toBe(true)
    expect(offsets()).toEqual([0])
    expect(sorted(server.put)).toEqual(OTHERS)
    for (const { headers } of server.verbs('put')) {
      expect(Object.keys(headers)).toEqual(['x-amz-checksum-crc64nvme'])
    }
    expect(states()).toEqual(new Set(['starting', 'sending', 'completing', 'done']))
    expect(seen.every(({ bytesSafe, bytesSent }) => bytesSafe <= bytesSent)).toBe(true)
  })

  test('parts that are ready at the same time share a request for their addresses', async () => {
    server.concurrency = 100
    await upload(someFile(60 * PART)).start()
    expect(server.put.length).toBe(59)
    expect(server.verbs('direct').length).toBeLessThan(30)
    expect(server.verbs('received').length).toBeLessThan(30)
  })

  test('no more parts are in flight than the server allows', async () => {
    server.concurrency = 2
    server.hold = () => new Promise((resolve) => void environment.after(1, resolve))
    await upload().start()
    expect(server.mostAtOnce).toBe(2)
  })

  test('a part that is larger than 64 MiB goes in chunks', async () => {
    server.partSize = 65 * 1024 * STEP
    await upload().start()
    expect(server.verbs('direct')).toEqual([])
  })

  test('what the server has already is neither sent nor missed', async () => {
    server.trouble = ({ verb, json }) => {
      const parts = (json['parts'] ?? []) as { number: number }[]
      if (verb !== 'direct' || !parts.some(({ number }) => number === 3)) return null
      const [start, end] = server.rangeOf(server.only, 3)
      server.only.received.push([start, end])
      return null
    }
    await upload().start().catch(() => undefined) // Its bytes are not the file's.
    expect(sorted(server.put)).toEqual([2, 4, 5, 6])
  })
})

describe('when the store cannot be reached', () => {
  test('the upload goes on through Wherry without a word, and the next does not try', async () => {
    server.trouble = ({ verb }) => (verb === 'put' ? lost() : null)
    for (const seed of [1, 2]) {
      server.concurrency = seed === 1 ? 1 : 4
      const file = someFile(SIZE, seed, `${seed}.mp4`)
      await upload(file).start()
      expect(await hasArrived(server.uploads.get(`u${seed}`), file)).toBe(true)
    }
    expect(server.put).toEqual([2])
    expect(server.verbs('direct').length).toBe(1)
    expect(problems()).toEqual([])
    expect(states()).toEqual(new Set(['starting', 'sending', 'completing', 'done']))
  })

  test('another endpoint of the same page may still try', async () => {
    server.trouble = ({ verb }) => (verb === 'put' ? lost() : null)
    await upload().start()
    server.trouble = () => null
    server.asked = []
    const endpoint = 'https://other.test/api'
    environment.paths.set(endpoint, { ...environment.way, takesWhole: false })
    await upload(someFile(SIZE, 2, '2.mp4'), { endpoint }).start()
    expect(sorted(server.put)).toEqual(OTHERS)
  })

  test('a refusal is enough, too', async () => {
    server.concurrency = 1
    server.trouble = ({ verb }) => (verb === 'put' ? reply(403, {}) : null)
    await upload().start()
    expect(server.put).toEqual([2])
    expect(problems()).toEqual([])
  })

  test('a browser that is offline says nothing about the store', async () => {
    let isFirst = true
    server.concurrency = 1
    server.trouble = ({ verb }) => {
      if (verb !== 'put' || !isFirst) return null
      isFirst = false
      environment.online = false
      environment.after(5, () => environment.comeBack())
      return lost()
    }
    await upload().start()
    expect(new Set(server.put)).toEqual(new Set(OTHERS))
    expect(offsets()).toEqual([0])
    expect(problems()).toContain('The browser is offline.')
  })

  test('a store that is busy is tried again', async () => {
    let left = 3
    server.trouble = ({ verb }) => (verb === 'put' && left-- > 0 ? reply(503, {}) : null)
    await upload().start()
    expect(offsets()).toEqual([0])
    expect(states()).toContain('retrying')
  })

  test('one that fails five times in a row is given up', async () => {
    server.concurrency = 1
    server.trouble = ({ verb }) => (verb === 'put' && server.put.length > 1 ? lost() : null)
    const file = someFile(SIZE)
    await upload(file).start()
    expect(await hasArrived(server.only, file)).toBe(true)
    expect(server.put).toEqual([2, 3, 3, 3, 3, 3])
    expect(offsets().slice(0, 2)).toEqual([0, 2 * PART])
  })

  test('it is given up, and not the upload, when there is no progress for too long', async () => {
    server.concurrency = 1
    server.trouble = ({ verb }) => (verb === 'put' ? reply(503, {}) : null)
    await upload(someFile(SIZE), { patience: 0.15 }).start()
    expect(server.put).toEqual([2, 2])
    expect(server.verbs('direct').length).toBe(2)
    expect(environment.ways.get('/api')?.isOpen).toBe(false)
  })

  test('an address that has expired is asked for again', async () => {
    let isFirst = true
    server.trouble = ({ verb }) => {
      if (verb !== 'put' || !isFirst) return null
      isFirst = false
      return { status: 403, text: '<Message>Request has expired</Message>', headers: {} }
    }
    await upload().start()
    expect(offsets()).toEqual([0])
    expect(new Set(server.put)).toEqual(new Set(OTHERS))
  })

  test('a part that it has confirmed and lost is sent again', async () => {
    let isFirst = true
    server.trouble = ({ verb }) => {
      if (verb === 'received' && isFirst) {
        isFirst = false
        server.lose(2)
      }
      return null
    }
    server.concurrency = 1
    const file = someFile(SIZE)
    await upload(file).start()
    expect(await hasArrived(server.only, file)).toBe(true)
    expect(server.put).toEqual([2, 2, 3, 4, 5, 6])
  })
})

describe('when the server does not want a part', () => {
  test('a part of which it has some bytes goes in chunks, and no other', async () => {
    server.concurrency = 1
    server.trouble = ({ verb, json }) => {
      const [part] = (json['parts'] ?? []) as { number: number }[]
      const start = 3 * PART
      if (verb === 'direct' && part?.number === 4) server.only.received.push([start, start + STEP])
      return null
    }
    await upload().start().catch(() => undefined) // The bytes in between are not the file's.
    expect(server.put).not.toContain(4)
    expect(sorted([...new Set(server.put)])).toEqual([2, 3, 5, 6])
    expect(offsets()).toContain(3 * PART)
  })

  test('one without this route gets chunks, and later uploads try again', async () => {
    server.trouble = ({ verb }) => (verb === 'direct' ? problem(404, 'not-found') : null)
    await upload().start()
    expect(server.put).toEqual([])
    expect(problems()).toEqual([])
    expect(environment.ways.get('/api')?.isOpen).toBe(true)
  })

  test('a request for addresses and a report are repeated until they get through', async () => {
    const left = new Map([['direct', 2], ['received', 2]])
    server.trouble = ({ verb }) => {
      const times = left.get(verb) ?? 0
      left.set(verb, times - 1)
      return times > 0 ? reply(503, {}) : null
    }
    await upload().start()
    expect(offsets()).toEqual([0])
    expect(sorted(server.put)).toEqual(OTHERS)
  })

  test('an upload that is cancelled elsewhere is gone', async () => {
    server.trouble = ({ verb }) => {
      if (verb === 'put') server.only.state = 'cancelled'
      return null
    }
    await expect(upload().start()).rejects.toMatchObject({ name: 'UploadGone' })
  })
})

describe('parts in flight', () => {
  /** Waits until a part is held on its way, and holds all others. */
  function held(): Promise<void> {
    return new Promise((resolve) => {
      server.hold = ({ verb }) => {
        if (verb !== 'put') return Promise.resolve()
        resolve()
        return new Promise(() => undefined)
      }
    })
  }

  test('are aborted by a pause, and sent again after it', async () => {
    const file = someFile(SIZE)
    const reached = held()
    const one = upload(file)
    const done = one.start()
    await reached
    one.pause()
    server.hold = async () => undefined
    const before = server.put.length
    await new Promise((resolve) => environment.after(60, () => resolve(null)))
    expect(server.put.length).toBe(before)
    expect(one.details.state).toBe('paused')
    one.resume()
    await done
    expect(await hasArrived(server.only, file)).toBe(true)
    expect(offsets()).toEqual([0])
    expect(environment.ways.get('/api')?.isOpen).toBe(true)
  })

  test('are aborted by a cancel, on the server too', async () => {
    const reached = held()
    const one = upload()
    const done = one.start()
    await reached
    await Promise.all([one.cancel(), expect(done).rejects.toMatchObject({ name: 'AbortError' })])
    expect(server.only.state).toBe('cancelled')
    expect(server.atOnce).toBe(0)
  })

  test('fail with the file when it cannot be read any more, which says nothing about the store', async () => {
    const file = someFile(SIZE)
    server.trouble = ({ verb }) => {
      if (verb !== 'put') return null
      file.slice = () => new Blob([])
      return lost()
    }
    await expect(upload(file).start()).rejects.toMatchObject({ name: 'FileChanged' })
    expect(environment.ways.get('/api')?.isOpen).toBe(true)
  })
})

test('addresses that are none are no answer of Wherry', () => {
  const url = 'https://store.test/1'
  const headers = { 'x-amz-checksum-crc64nvme': 'AAAAAAAAAAA=' }
  const parsed = parseAddresses(reply(200, { parts: [{ number: 2, url, method: 'PUT', headers }] }))
  expect([...parsed]).toEqual([[2, { url, method: 'PUT', headers }]])
  const bad = [{}, { parts: 1 }, { parts: [null] }, { parts: [{ number: 2, url, method: 'PUT' }] }]
  const other = { parts: [{ number: 2, url: 'data:,x', method: 'PUT', headers }] }
  for (const value of [...bad, other]) {
    expect(() => parseAddresses(reply(200, value))).toThrow('does not come from Wherry')
  }
})

test('only a 403 that says so means that the address has expired', () => {
  const text = '<Message>Request has Expired</Message>'
  expect(failureOf({ status: 403, text, headers: {} })).toBe('expired')
  expect(failureOf({ status: 400, text, headers: {} })).toBe(400)
  expect(failureOf({ status: 403, text: '<Error/>', headers: {} })).toBe(403)
})
