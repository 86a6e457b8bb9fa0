/** What one upload has learned of a network path serves the next one, also after a reload. */

import { afterEach, describe, expect, test, vi } from 'vitest'
import { unknownPath } from './chunkSize'
import { browser } from './environment'
import { page, someFile, STEP } from './testing/fake'
import { environment, failure, server, upload } from './testing/scene'
import { Wire } from './wire'

afterEach(() => {
  vi.unstubAllGlobals()
  vi.useRealTimers()
})

function stubStorage(): Map<string, string> {
  const kept = new Map<string, string>()
  vi.stubGlobal('sessionStorage', {
    getItem: (name: string) => kept.get(name) ?? null,
    setItem: (name: string, value: string) => void kept.set(name, value),
  })
  return kept
}

describe('what is known of a path', () => {
  test('is the same after a reload, to the last field', () => {
    stubStorage()
    const path = { ...unknownPath(5), passed: STEP, pace: 2 * STEP, asForm: true, isEarly: true }
    browser.kept.set('https://a.example', path)
    expect(browser.kept.get('https://a.example')).toEqual(path)
    const refused = { ...path, refused: 9 * STEP, report: { refused: 9 * STEP }, timer: 5 }
    browser.kept.set('https://a.example', refused)
    expect(browser.kept.get('https://a.example')).toEqual(refused)
  })

  test.each(['', '5', 'null', '{}', '1048576 Infinity', '{"since":'])(
    'is nothing where the storage has %j',
    (text) => {
      vi.useFakeTimers({ toFake: ['Date'], now: 9000 })
      stubStorage().set('wherry-path:https://a.example', text)
      expect(browser.kept.get('https://a.example')).toEqual(unknownPath(9))
    },
  )

  test('is nothing where there is no storage', () => {
    vi.stubGlobal('sessionStorage', undefined)
    browser.kept.set('https://a.example', unknownPath(5))
    expect(browser.kept.get('https://a.example').passed).toBe(0)
  })

  test('is forgotten after a day, so that a raised limit is noticed', () => {
    const day = 86_400_000
    vi.useFakeTimers({ toFake: ['Date'], now: day })
    const path = { ...unknownPath(0.001), refused: STEP }
    environment.paths.set('/api', path)
    expect(new Wire(environment, {}).path).toBe(path)
    vi.setSystemTime(day + 1)
    expect(new Wire(environment, {}).path).toEqual(unknownPath((day + 1) / 1000))
  })
})

describe('a filter of raw bodies', () => {
  test('meets no raw body after a reload', async () => {
    let raw = 0
    server.trouble = ({ headers, verb }) =>
      verb === 'chunk' && headers['content-type'] === 'application/octet-stream' && ++raw
        ? page(406)
        : null
    await upload(someFile(20 * STEP)).start()
    expect(raw).toBe(1)
    environment.paths = new Map() // As after a reload.
    await upload(someFile(20 * STEP, 2)).start()
    expect(raw).toBe(1)
  })
})

describe('a refusal that the server knows of', () => {
  test('is forgotten when the server says that more has passed since', async () => {
    environment.paths.clear()
    server.maxBody = 2 * STEP
    await upload(someFile(9 * STEP)).start()
    expect(environment.way.refused).toBeLessThan(Infinity)
    server.maxBody = Infinity
    server.path = { passes: 64 * STEP, refuses: null }
    await upload(someFile(9 * STEP, 2)).start()
    expect(environment.way.refused).toBe(Infinity)
    expect(environment.way.passed).toBeGreaterThan(2 * STEP)
  })
})

describe('the ordinary upload', () => {
  test('throws nothing away where its size was refused before', async () => {
    server.maxBody = 5 * STEP
    const one = (size: number): Promise<unknown> => failure(upload(someFile(size), {}, true).start())
    expect(await one(9 * STEP)).toMatchObject({ name: 'TooLarge', status: 413 })
    expect(server.verbs('upload')).toHaveLength(1)
    expect(await one(9 * STEP)).toMatchObject({
      name: 'TooLarge',
      status: 413,
      message: expect.stringContaining('too large') as string,
    })
    expect(server.asked).toHaveLength(1)
    await upload(someFile(4 * STEP), {}, true).start()
    expect(server.only.state).toBe('complete')
  })
})

describe('progress', () => {
  /** Each body is seen to be sent to its end before anybody looks at it. */
  function sendSlowly(): void {
    const { send } = environment
    const second = (): Promise<void> =>
      new Promise((done) => void environment.clock.after(1, done))
    environment.send = async (asked) => {
      const size = asked.body instanceof FormData ? 1 : (asked.body as Blob | null)?.size
      await second()
      if (size) asked.onSent?.(size, size)
      await second()
      return send({ ...asked, onSent: undefined })
    }
  }

  test('is never made by a body that is refused', async () => {
    environment.paths.clear()
    server.maxBody = 2 * STEP
    sendSlowly()
    const told: [percent: number, sent: number, safe: number][] = []
    const file = someFile(8 * STEP)
    const onProgress = (percent: number, seen: { bytesSent: number; bytesSafe: number }): void =>
      void told.push([percent, seen.bytesSent, seen.bytesSafe])
    await upload(file, { concurrency: 1, onProgress }).start()
    expect(server.asked.filter(({ size }) => size > server.maxBody)).toHaveLength(2)
    for (const [percent, sent, safe] of told.filter(([, , safe]) => safe < file.size)) {
      expect(sent - safe).toBeLessThanOrEqual(server.maxBody)
      expect(percent).toBeLessThanOrEqual(Math.round((100 * (safe + server.maxBody)) / file.size))
    }
    expect(told.filter(([, sent, safe]) => sent > safe).length).toBeGreaterThan(0)
    expect(told.at(-1)![0]).toBe(100)
  })

  test('of the ordinary upload is shown while it is sent', async () => {
    sendSlowly()
    const arrived: number[] = []
    const onProgress = (percent: number): void => {
      if (percent === 100) arrived.push(server.asked.length)
    }
    await upload(someFile(8 * STEP), { onProgress }, true).start()
    expect(arrived[0]).toBe(0)
  })
})
