/** A small file: one request, and what follows if that is refused, or its answer is lost. */

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { unknownPath } from './chunkSize'
import { hasArrived, lost, page, problem, someFile, STEP, type Request } from './testing/fake'
import { failure, server, upload, environment } from './testing/scene'
import type { UploadDetails, UploadOptions } from './types'

const ENDED = problem(410, 'upload-gone', { state: 'cancelled' })

// On an unknown path, files of more than 8 steps go in chunks.
const WIDE = { passed: 64 * STEP, pace: Infinity }
beforeEach(() => void environment.paths.set('/api', { ...unknownPath(), ...WIDE }))
afterEach(() => void vi.unstubAllGlobals())

/** The requests: `send`, `ask` (what came of the one before), or another verb. */
function asked(): string[] {
  return server.asked.map(({ verb, size }) => (verb !== 'upload' ? verb : size ? 'send' : 'ask'))
}

function keys(): (string | undefined)[] {
  return server.verbs('upload').map(({ headers }) => headers['idempotency-key'])
}

/** Does this to the nth request that sends the file. */
function nth<T>(number: number, what: T): (request: Request) => T | null {
  let sends = 0
  return ({ verb, size }) => (verb === 'upload' && size && ++sends === number ? what : null)
}

describe('a small file', () => {
  test.each([0, 1, 9 * STEP])('of %i bytes goes in one request', async (size) => {
    const percents: number[] = []
    const file = someFile(size)
    const one = upload(file, { onProgress: (percent) => percents.push(percent) })
    expect(await one.start()).toMatchObject({ upload_id: 'u1', assessment_id: 'a-u1' })
    expect(await hasArrived(server.only, file)).toBe(true)
    expect(server.asked).toHaveLength(1)
    expect(percents).toEqual([...percents].sort((a, b) => a - b))
    expect(percents.at(-1)).toBe(100)
    expect(one.details).toMatchObject({ state: 'done', bytesSafe: size })
    expect(one.uploadId).toBe('u1')
  })

  test('carries its name, its type, its digest and a key', async () => {
    let type = ''
    const { send } = environment
    environment.send = (request) => {
      type = (request.body as Blob).type
      return send(request)
    }
    await upload(someFile(9), { filename: "Ä 'b' \ud800.mp4" }).start()
    const [{ headers }] = server.asked as [Request]
    const name = "attachment; filename*=UTF-8''%C3%84%20%27b%27%20%EF%BF%BD.mp4"
    expect(headers['content-disposition']).toBe(name)
    expect(headers['content-digest']).toMatch(/^crc64nvme=:/)
    expect(headers['idempotency-key']).toMatch(/^"[!-~]{16,64}"$/)
    expect(type).toBe('video/mp4')
  })

  test('with metadata goes as a form, in which the fields come first', async () => {
    const names: string[] = []
    const { send } = environment
    environment.send = (request) => {
      names.push(...(request.body as FormData).keys())
      return send(request)
    }
    await upload(someFile(9), { metadata: { course: 'physics' } }).start()
    expect(names).toEqual(['course', 'file'])
    expect(keys()).toEqual([expect.any(String)])
    expect(server.asked).toHaveLength(1)
  })

  test('is one that is not larger than a chunk', async () => {
    await upload(someFile(20 * STEP), { chunkSize: 10 * STEP }).start()
    expect(server.verbs('upload')).toEqual([])
    await upload(someFile(10 * STEP), { chunkSize: 10 * STEP }).start()
    expect(server.verbs('upload')).toHaveLength(1)
  })

  test('goes in chunks to another origin, which need not allow its headers', async () => {
    vi.stubGlobal('origin', 'https://a.example')
    vi.stubGlobal('location', { href: 'https://a.example/' })
    await upload(someFile(9), { endpoint: 'https://b.example/api' }).start()
    expect(asked()).toEqual(['init', 'chunk', 'complete'])
    expect(server.asked.every(({ headers }) => !('idempotency-key' in headers))).toBe(true)
  })
})

describe('a narrow path', () => {
  test('is met once: the next file goes in chunks at once', async () => {
    server.maxBody = 5 * STEP
    const file = someFile(9 * STEP)
    await upload(file).start()
    expect(await hasArrived(server.only, file)).toBe(true)
    expect(asked().slice(0, 2)).toEqual(['send', 'init'])
    const before = server.asked.length
    await upload(someFile(9 * STEP, 2)).start()
    expect(asked()[before]).toBe('init')
    await upload(someFile(2 * STEP, 3)).start()
    expect(asked().at(-1)).toBe('send')
  })

  test('that breaks the connection is found out by asking', async () => {
    server.maxBody = 5 * STEP
    server.resets = true
    environment.paths.clear()
    const file = someFile(8 * STEP)
    const one = upload(file)
    await one.start()
    expect(await hasArrived(server.only, file)).toBe(true)
    expect(asked().slice(0, 3)).toEqual(['send', 'ask', 'init'])
    expect(environment.way.refused).toBe(8 * STEP)
    expect(one.details.refusedSize).toBe(8 * STEP)
  })

  test('is not concluded while the server is away', async () => {
    let away = 3
    server.trouble = () => (away-- > 0 ? page(502) : null)
    await upload(someFile(9 * STEP)).start()
    expect(asked()).toEqual(['send', 'ask', 'ask', 'ask', 'send'])
    expect(environment.way.refused).toBe(Infinity)
  })

  test('is not concluded for a size that has passed', async () => {
    await upload(someFile(9 * STEP)).start()
    server.trouble = nth(1, lost())
    await upload(someFile(9 * STEP, 2)).start()
    expect(asked()).toEqual(['send', 'send', 'ask', 'send'])
  })
})

describe('a lost answer', () => {
  test.each([
    ['a broken connection', lost()],
    ["a proxy's 504", page(504)],
  ])('(%s) is asked for, and the file is not sent again', async (_, instead) => {
    server.after = nth(1, instead)
    const one = upload(someFile(9 * STEP))
    expect(await one.start()).toMatchObject({ upload_id: 'u1', assessment_id: 'a-u1' })
    expect(asked()).toEqual(['send', 'ask'])
    expect(new Set(keys()).size).toBe(1)
    expect(environment.way.refused).toBe(Infinity)
  })

  test('is asked for until the server says that it has the file', async () => {
    const busy = problem(409, 'busy', { retryable: true, retry_after: 2 })
    let times = 3
    server.after = nth(1, lost())
    server.trouble = ({ size, verb }) => (verb === 'upload' && !size && times-- > 0 ? busy : null)
    await upload(someFile(9)).start()
    expect(asked()).toEqual(['send', 'ask', 'ask', 'ask', 'ask'])
    expect(server.uploads.size).toBe(1)
  })

  test('makes no second upload of the same call later', async () => {
    server.after = () => lost()
    const one = upload(someFile(9), { patience: 1 })
    expect(await failure(one.start())).toMatchObject({ name: 'GaveUp' })
    server.after = () => null
    expect(await one.start()).toMatchObject({ upload_id: 'u1' })
    expect(server.uploads.size).toBe(1)
  })
})

describe('a request that', () => {
  test('did not arrive is sent again with the same key', async () => {
    server.trouble = nth(1, lost())
    await upload(someFile(STEP)).start()
    expect(asked()).toEqual(['send', 'ask', 'send'])
    expect(new Set(keys()).size).toBe(1)
  })

  test('has ended without the file is sent again with a new key', async () => {
    const trouble = nth(1, lost())
    server.trouble = (request) =>
      request.verb === 'upload' && !request.size ? ENDED : trouble(request)
    await upload(someFile(STEP)).start()
    expect(asked()).toEqual(['send', 'ask', 'send'])
    expect(new Set(keys()).size).toBe(2)
  })

  test('was cancelled elsewhere is not sent again', async () => {
    server.trouble = () => ENDED
    expect(await failure(upload(someFile(9)).start())).toMatchObject({ name: 'UploadGone' })
    expect(asked()).toEqual(['send'])
  })

  test.each([
    problem(422, 'digest-mismatch', { retryable: true }),
    problem(503, 'storage-failed', { retryable: true, retry_after: 5 }),
    problem(408, 'body-stalled', { retryable: true }),
  ])('failed is sent again (%#)', async (answer) => {
    server.trouble = nth(1, answer)
    await upload(someFile(9 * STEP)).start()
    expect(asked()).toEqual(['send', 'ask', 'send'])
  })

  test.each([
    ['too old for it', page(404)],
    ['too old for it', page(405)],
    ['too old for it', problem(404, 'not-found')],
  ])('the server is %s is not tried a second time (%#)', async (_, answer) => {
    server.trouble = ({ verb }) => (verb === 'upload' ? answer : null)
    await upload(someFile(9)).start()
    await upload(someFile(8, 2)).start()
    const chunks = ['init', 'chunk', 'complete']
    expect(asked()).toEqual(['send', ...chunks, ...chunks])
  })

  test('finds no room is waited for in the queue', async () => {
    server.trouble = nth(1, problem(503, 'no-room', { retryable: true, retry_after: 5 }))
    await upload(someFile(9)).start()
    expect(asked()).toEqual(['send', 'init', 'chunk', 'complete'])
    await upload(someFile(9, 2)).start()
    expect(asked().at(-1)).toBe('send')
  })

  test('brought the file to a failing application is only completed again', async () => {
    server.after = nth(1, problem(500, 'hook-failed', { retryable: true, upload_id: 'u1' }))
    expect(await upload(someFile(9)).start()).toMatchObject({ assessment_id: 'a-u1' })
    expect(asked()).toEqual(['send', 'complete'])
  })

  test('is refused for its login is sent again with a new one', async () => {
    let key = 0
    server.trouble = ({ headers }) =>
      headers['authorization'] === '2' ? null : problem(401, 'unauthorized')
    await upload(someFile(9), { headers: () => ({ authorization: `${++key}` }) }).start()
    expect(asked()).toEqual(['send', 'send'])
  })

  test('finds another server there is an error at once', async () => {
    server.trouble = () => page(200)
    expect(await failure(upload(someFile(9)).start())).toMatchObject({ name: 'UnexpectedAnswer' })
    expect(asked()).toEqual(['send'])
  })
})

describe('the caller of a small file', () => {
  function whileSending(options: UploadOptions, act: (one: ReturnType<typeof upload>) => void) {
    const one = upload(someFile(9 * STEP), options)
    let isFirst = true
    server.hold = async ({ size }) => {
      if (!size || !isFirst) return
      isFirst = false
      act(one)
      await new Promise<void>((done) => environment.clock.after(1, done))
    }
    return one
  }

  test('pauses, and the file is sent after the pause', async () => {
    const states: string[] = []
    const onProgress = (_: number, { state }: UploadDetails): void => void states.push(state)
    const one = whileSending({ onProgress }, (one) => one.pause())
    const started = one.start()
    while (one.details.state !== 'paused') await new Promise((resolve) => setTimeout(resolve, 1))
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(server.atOnce).toBe(0)
    expect(server.uploads.size).toBe(0)
    one.resume()
    expect(await started).toMatchObject({ upload_id: 'u1' })
    expect(asked()).toEqual(['send', 'ask', 'send'])
    expect(states).toContain('paused')
  })

  test('cancels, and nothing is left', async () => {
    const one = whileSending({}, (one) => void one.cancel())
    expect(await failure(one.start())).toMatchObject({ name: 'AbortError' })
    expect(one.details.state).toBe('cancelled')
    expect(server.uploads.size).toBe(0)
  })

  test('hears if the file was changed', async () => {
    const file = someFile(9)
    const slice = file.slice.bind(file)
    file.slice = (...range) => {
      const part = slice(...range)
      part.arrayBuffer = () => Promise.reject(new DOMException('no', 'NotReadableError'))
      return part
    }
    expect(await failure(upload(file).start())).toMatchObject({ name: 'FileChanged' })
    expect(server.asked).toEqual([])
  })
})

describe('of many files that are sent at the same moment', () => {
  test('four are under way, in the order of their calls', async () => {
    let atOnce = 0
    let most = 0
    server.hold = async () => {
      most = Math.max(most, ++atOnce)
      await new Promise<void>((done) => environment.clock.after(1, done))
      atOnce--
    }
    const ends: number[] = []
    const files = [...Array(40).keys()].map((n) => someFile(STEP, n + 1, `photo-${n}.jpg`))
    await Promise.all(
      files.map(async (file, n) => {
        await upload(file).start()
        ends.push(n)
      }),
    )
    expect(most).toBe(4)
    expect(ends).toEqual([...files.keys()])
    expect(asked()).toEqual(Array(40).fill('send'))
    expect(environment.turns).toEqual([])
  })

  test('no more than four are refused by a path that is too narrow for them', async () => {
    server.maxBody = 5 * STEP
    await Promise.all([...Array(12).keys()].map((n) => upload(someFile(9 * STEP, n + 1)).start()))
    expect(asked().filter((verb) => verb === 'send')).toHaveLength(4)
    expect(server.uploads.size).toBe(12)
  })

  test('those that wait neither time out nor slow the path down', async () => {
    server.hold = () => new Promise<void>((done) => environment.clock.after(5, done))
    await Promise.all([...Array(200).keys()].map((n) => upload(someFile(STEP, n + 1)).start()))
    expect(environment.clock.now).toBeGreaterThan(200)
    expect(environment.way.pace).toBe(Infinity)
    expect(asked()).toEqual(Array(200).fill('send'))
  })

  test('one that waits can be cancelled and paused, and the others go on', async () => {
    server.hold = () => new Promise<void>((done) => environment.clock.after(1, done))
    const all = [...Array(8).keys()].map((n) => upload(someFile(STEP, n + 1)))
    const ends = all.map((one) => one.start().then((done) => done.state, ({ name }) => name))
    all[5]!.pause()
    await all[6]!.cancel()
    expect(await ends[6]).toBe('AbortError')
    expect(await ends[7]).toBe('complete')
    expect(server.verbs('upload')).toHaveLength(6)
    all[5]!.resume()
    expect(await Promise.all(ends)).toEqual([...Array(6).fill('complete'), 'AbortError', 'complete'])
  })
})
