/** What is told while nothing gets through, and from which places an upload may be started. */

import { afterEach, describe, expect, test, vi } from 'vitest'
import { lost, someFile, STEP } from './testing/fake'
import { failure, server, upload, environment } from './testing/scene'
import type { UploadDetails } from './types'
import { Wire } from './wire'

afterEach(() => void vi.unstubAllGlobals())

test('an answer that comes late does not undo that there is no network', async () => {
  const told: UploadDetails[] = []
  let chunks = 0
  server.hold = async ({ verb }) => {
    // The second of those in flight has its answer after the network has gone.
    if (verb === 'chunk' && ++chunks === 3) {
      await new Promise<void>((done) => environment.clock.after(2, done))
    }
  }
  server.trouble = ({ verb }) => {
    if (verb !== 'chunk' || chunks < 2 || !environment.online || told.some(isRetrying)) return null
    environment.online = false
    return lost()
  }
  const one = upload(someFile(20 * STEP), { onProgress: (_, details) => told.push(details) })
  const done = one.start()
  while (!told.some(isRetrying)) await new Promise((resolve) => setTimeout(resolve, 1))
  environment.tick()
  const first = told.findIndex(isRetrying)
  const during = told.slice(first)
  expect(during.map(({ state }) => state).filter((state) => state !== 'retrying')).toEqual([])
  expect(during.every(({ secondsLeft, speed }) => secondsLeft === null && speed === null)).toBe(true)
  environment.comeBack()
  await done
})

function isRetrying({ state }: UploadDetails): boolean {
  return state === 'retrying'
}

test('the time until the next try is counted down', async () => {
  let left = 1
  server.trouble = ({ verb }) => (verb === 'init' && left-- > 0 ? lost() : null)
  const seen: (number | null)[] = []
  const one = upload(someFile(STEP), {
    onProgress: (_, { state, retryAfter }) => {
      if (state === 'retrying') seen.push(retryAfter)
    },
  })
  environment.online = false
  const done = one.start()
  while (!seen.length) await new Promise((resolve) => setTimeout(resolve, 1))
  environment.clock.now += 10
  environment.tick()
  expect(seen.slice(0, 2)).toEqual([30, 20])
  environment.comeBack()
  await done
})

test('what stands still gets slower, and soon has no speed and no time left', async () => {
  const details = (): UploadDetails => one.details
  const one = upload(someFile(40 * STEP), { concurrency: 1 })
  const seen: UploadDetails[] = []
  server.hold = async ({ verb }) => {
    if (verb !== 'chunk') return
    await new Promise<void>((done) => environment.clock.after(0.5, done))
    if (server.verbs('chunk').length < 6) return
    seen.push(details())
    for (let n = 0; n < 6; n++) {
      await new Promise<void>((done) => environment.clock.after(1, done))
      seen.push(details())
    }
  }
  await one.start()
  const [moving, ...still] = seen.slice(0, 7).map(({ speed }) => speed)
  expect(moving).toBeGreaterThan(0)
  expect(still.at(3)!).toBeLessThan(moving! / 2)
  expect(seen[6]).toMatchObject({ state: 'sending', speed: null, secondsLeft: null })
})

describe('whether the server is of the same origin', () => {
  const place = (
    origin: string,
    href: string,
    endpoint?: string,
    baseURI: string | undefined = href,
  ): Wire => {
    vi.stubGlobal('origin', origin)
    vi.stubGlobal('location', { href })
    vi.stubGlobal('document', baseURI === '' ? undefined : { baseURI })
    return new Wire(environment, endpoint ? { endpoint } : {})
  }
  const PAGE = 'https://host.example/app/'

  test.each([
    ['a page', 'https://host.example', PAGE, undefined, PAGE, 'https://host.example/api', true],
    ['another origin', 'https://a.example', 'https://a.example/', 'https://host.example/api', undefined, 'https://host.example/api', false],
    ['a sandboxed frame', 'null', PAGE, undefined, PAGE, 'https://host.example/api', false],
    ['a sandboxed frame without an address', 'null', 'about:srcdoc', undefined, PAGE, 'https://host.example/api', false],
    ['a frame without an address', 'https://host.example', 'about:srcdoc', undefined, PAGE, 'https://host.example/api', true],
    ['a data: page', 'null', 'data:text/html,', 'https://host.example/api/', undefined, 'https://host.example/api', false],
    ['a file: page', 'null', 'file:///page.html', 'https://host.example/api', undefined, 'https://host.example/api', false],
    ['an extension', 'chrome-extension://abc', 'chrome-extension://abc/p.html', 'https://host.example/api', undefined, 'https://host.example/api', false],
    ['a worker', 'https://host.example', 'https://host.example/w.js', undefined, '', 'https://host.example/api', true],
    ['a blob: worker', 'https://host.example', 'blob:https://host.example/5', undefined, '', 'https://host.example/api', true],
  ])('%s', (_, origin, href, endpoint, base, absolute, isSame) => {
    const wire = place(origin, href, endpoint, base)
    expect([wire.endpoint, wire.isSameOrigin]).toEqual([absolute, isSame])
  })

  test.each([
    ['null', 'file:///page.html'],
    ['null', 'data:text/html,'],
    ['chrome-extension://abc', 'chrome-extension://abc/p.html'],
  ])('is told at once where a relative address leads nowhere (%s, %s)', (origin, href) => {
    expect(() => place(origin, href)).toThrow(expect.objectContaining({ code: 'bad-endpoint' }) as Error)
  })

  test('and a start rejects with it', async () => {
    vi.stubGlobal('origin', 'null')
    vi.stubGlobal('location', { href: 'file:///page.html' })
    expect(await failure(upload(someFile(STEP)).start())).toMatchObject({ code: 'bad-endpoint' })
  })
})
