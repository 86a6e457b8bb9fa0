/** Two tabs with the same file. */

import { beforeEach, describe, expect, test } from 'vitest'
import {
  Clock,
  FakeServer,
  FakeEnvironment,
  bytes,
  hasArrived,
  problem,
  someFile,
  STEP,
} from './testing/fake'
import type { UploadDetails, UploadOptions } from './types'
import { OneUpload } from './upload'

let server: FakeServer
let clock: Clock

beforeEach(() => {
  server = new FakeServer()
  clock = new Clock()
})

/** Locks as of one browser (Node has none before 24.5). */
class Locks {
  private readonly queues = new Map<string, Promise<unknown>>()
  private readonly held = new Set<string>()

  async request(
    name: string,
    options: { ifAvailable?: boolean; signal?: AbortSignal },
    act: (lock: object | null) => unknown,
  ): Promise<unknown> {
    if (options.ifAvailable && this.held.has(name)) return act(null)
    const before = this.queues.get(name) ?? Promise.resolve()
    if (!this.held.has(name)) this.held.add(name)
    const run = (async () => {
      await before.catch(() => undefined)
      options.signal?.throwIfAborted()
      this.held.add(name)
      try {
        return await act({})
      } finally {
        this.held.delete(name)
      }
    })()
    this.queues.set(name, run)
    return run
  }
}

function tabs(count: number, locks: Locks | null): FakeEnvironment[] {
  return Array.from({ length: count }, (_, number) => {
    const environment = new FakeEnvironment(server, clock)
    environment.jitter = () => 1 / (1 + number)
    environment.lockManager = locks as unknown as LockManager | null
    return environment
  })
}

function upload(environment: FakeEnvironment, options: UploadOptions = {}, steps = 40): OneUpload {
  return new OneUpload(someFile(steps * STEP), options, false, environment)
}

function sentBytes(): number {
  return server.verbs('chunk').reduce((sum, chunk) => sum + chunk.size, 0)
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 1))
}

describe('with locks', () => {
  test('one tab sends, and both get the same answer', async () => {
    const [one, two] = tabs(2, new Locks()) as [FakeEnvironment, FakeEnvironment]
    server.hold = ({ verb }) =>
      new Promise((resolve) => setTimeout(resolve, verb === 'chunk' ? 20 : 0))
    const seen: UploadDetails[] = []
    const first = upload(one).start()
    const second = upload(two, { onProgress: (_, details) => seen.push(details) }).start()
    expect(await first).toMatchObject({ upload_id: 'u1', assessment_id: 'a-u1' })
    expect(await second).toMatchObject({ upload_id: 'u1', assessment_id: 'a-u1' })
    expect(sentBytes()).toBe(40 * STEP)
    expect(server.uploads.size).toBe(1)
    expect(seen.some(({ problem }) => problem === 'Another tab is sending this file.')).toBe(true)
    expect(seen.at(-1)?.state).toBe('done')
  })

  test('the other takes over when the first fails', async () => {
    const [one, two] = tabs(2, new Locks()) as [FakeEnvironment, FakeEnvironment]
    let chunks = 0
    server.trouble = ({ verb }) => (verb === 'chunk' && ++chunks === 5 ? problem(403, 'no') : null)
    const first = upload(one, { concurrency: 1 }).start()
    const second = upload(two).start()
    await expect(first).rejects.toMatchObject({ name: 'Unauthorized' })
    expect(await second).toMatchObject({ upload_id: 'u1', state: 'complete' })
    expect(await hasArrived(server.only, someFile(40 * STEP))).toBe(true)
    expect(sentBytes()).toBe(44 * STEP) // one chunk was refused
  })

  test('the other takes over when the first is paused', async () => {
    const [one, two] = tabs(2, new Locks()) as [FakeEnvironment, FakeEnvironment]
    const paused = upload(one)
    let chunks = 0
    server.after = ({ verb }) => {
      if (verb === 'chunk' && ++chunks === 3) paused.pause()
      return null
    }
    const first = paused.start()
    await until(() => paused.details.state === 'paused')
    expect(await upload(two).start()).toMatchObject({ upload_id: 'u1', state: 'complete' })
    paused.resume()
    expect(await first).toMatchObject({ upload_id: 'u1', assessment_id: 'a-u1' })
    expect(server.uploads.size).toBe(1)
  })

  test('one that was paused while the other sent finds it done', async () => {
    const [one, two] = tabs(2, new Locks()) as [FakeEnvironment, FakeEnvironment]
    const watching = upload(two)
    let second: Promise<unknown> | null = null
    let chunks = 0
    server.after = ({ verb }) => {
      if (verb === 'chunk' && ++chunks === 2) second = watching.start()
      if (verb === 'status') watching.pause()
      return null
    }
    server.hold = async ({ verb }) => {
      if (verb === 'chunk' && chunks > 2) await until(() => watching.details.state === 'paused')
    }
    await upload(one).start()
    expect(watching.details.state).toBe('paused')
    server.after = () => null
    watching.resume()
    expect(await second).toMatchObject({ upload_id: 'u1', assessment_id: 'a-u1' })
    expect(server.uploads.size).toBe(1)
  })

  test('a cancel in one ends both', async () => {
    const [one, two] = tabs(2, new Locks()) as [FakeEnvironment, FakeEnvironment]
    let isOver = false
    server.hold = async ({ verb }) => {
      if (verb === 'chunk') await until(() => isOver)
    }
    const first = upload(one)
    const ends = [first.start(), upload(two).start()].map((end) => end.catch((error) => error.name))
    await until(() => server.verbs('status').length > 3)
    await first.cancel()
    isOver = true
    expect(await Promise.all(ends)).toEqual(['AbortError', 'UploadGone'])
  })

  test('what has expired one tab begins anew, and the other follows', async () => {
    const [one, two] = tabs(2, new Locks()) as [FakeEnvironment, FakeEnvironment]
    server.hold = () => new Promise((resolve) => setTimeout(resolve, 10))
    let chunks = 0
    server.trouble = ({ verb }) => {
      if (verb === 'chunk' && ++chunks === 2) server.only.state = 'expired'
      return null
    }
    const both = await Promise.all([
      upload(one, { concurrency: 1 }).start(),
      upload(two, { concurrency: 1 }).start(),
    ])
    expect(both.map((result) => result.upload_id)).toEqual(['u2', 'u2'])
    expect(server.uploads.size).toBe(2)
    expect(sentBytes()).toBe((40 + 2 + 4) * STEP) // One chunk had arrived, one was refused.
  })

  test('that a page may not have, everybody sends', async () => {
    const [one] = tabs(1, null) as [FakeEnvironment]
    one.lockManager = {
      request: () => Promise.reject(new DOMException('no', 'SecurityError')),
    } as never
    expect(await upload(one).start()).toMatchObject({ state: 'complete' })
  })
})

describe('without locks', () => {
  /** As the server does it: of two requests for the same bytes the newer goes on. */
  function superseding(): void {
    const open = new Map<object, [number, number, () => void]>()
    server.hold = (request) =>
      new Promise((resolve) => {
        if (request.verb !== 'chunk') return resolve()
        const start = Number(request.query.get('offset'))
        for (const [key, [other, end, end_]] of open) {
          if (other < start + request.size && start < end) {
            open.delete(key)
            end_()
          }
        }
        const lose = (): void => {
          lost.add(request)
          resolve()
        }
        open.set(request, [start, start + request.size, lose])
        clock.after(8, () => (open.delete(request), resolve()))
      })
    const lost = new Set<object>()
    server.trouble = (request) =>
      lost.has(request) ? problem(409, 'superseded', { retryable: true }) : null
  }

  test.each([
    [1, 0.5],
    [0.1, 0.9],
    [0, 1],
    [0.5, 0.5],
  ])('both go on, from both ends, and little is sent twice (%d, %d)', async (ones, twos) => {
    superseding()
    const [one, two] = tabs(2, null) as [FakeEnvironment, FakeEnvironment]
    one.jitter = () => ones
    two.jitter = () => twos
    const both = await Promise.all([one, two].map((environment) => upload(environment, {}, 160).start()))
    expect(both.map((result) => result.upload_id)).toEqual(['u1', 'u1'])
    expect(await hasArrived(server.uploads.get('u1'), someFile(160 * STEP))).toBe(true)
    expect(server.uploads.size).toBe(1)
    expect(sentBytes()).toBeLessThan(2 * 160 * STEP)
  })

  test('what the other has brought is not sent', async () => {
    const [one] = tabs(1, null) as [FakeEnvironment]
    const all = await bytes(someFile(40 * STEP))
    let chunks = 0
    server.trouble = ({ verb }) => {
      if (verb === 'chunk' && ++chunks === 2) {
        server.only.received = [
          [0, 4 * STEP],
          [20 * STEP, 40 * STEP],
        ]
        server.only.data.set(all.subarray(20 * STEP), 20 * STEP)
      }
      return null
    }
    await upload(one, { concurrency: 1 }).start()
    expect(sentBytes()).toBe(20 * STEP)
    expect(server.verbs('complete')[0]?.json['digest']).toBeDefined()
  })
})
