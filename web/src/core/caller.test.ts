/** What the caller sees of an upload, and may do to it. */

import { describe, expect, test } from 'vitest'
import { hasArrived, listened, lost, page, problem, someFile, STEP } from './testing/fake'
import { failure, server, upload, environment } from './testing/scene'
import type { UploadDetails } from './types'
import { leave } from './upload'

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

  test.each(['init', 'chunk', 'upload'])(
    'gets no progress after an abort during %s, though requests still run',
    async (at) => {
      const abort = new AbortController()
      const states: string[] = []
      const onProgress = (_: number, { state }: UploadDetails): void => void states.push(state)
      const aSecond = (): Promise<void> =>
        new Promise((resolve) => {
          environment.after(1, () => {
            environment.tick()
            resolve()
          })
        })
      server.hold = async ({ verb }) => {
        if (verb !== at || abort.signal.aborted) return
        abort.abort()
        await aSecond()
      }
      const one = upload(someFile(9 * STEP), { signal: abort.signal, onProgress }, at === 'upload')
      expect(await failure(one.start())).toMatchObject({ name: 'AbortError' })
      await aSecond()
      expect(states.indexOf('cancelled')).toBe(states.length - 1)
    },
  )

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
    while (environment.listening) await new Promise((resolve) => setTimeout(resolve, 1))
    expect(one.details.state).toBe('paused')
    server.hold = async () => expect(environment.listening).toBe(1)
    one.resume()
    await started
    expect(environment.listening).toBe(0)
  })

  test('that resumes does so at once, if the network came back during the pause', async () => {
    const one = upload(someFile(20 * STEP))
    server.trouble = ({ verb }) => {
      if (verb !== 'chunk') return null
      environment.online = false
      return lost()
    }
    const started = one.start()
    while (one.details.problem !== 'The browser is offline.')
      await new Promise((resolve) => setTimeout(resolve, 1))
    one.pause()
    while (environment.listening) await new Promise((resolve) => setTimeout(resolve, 1))
    server.trouble = () => null
    environment.comeBack()
    const before = environment.clock.now
    one.resume()
    await started
    expect(environment.clock.now).toBe(before)
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
      expect([environment.listening, signal.listening]).toEqual([0, 0])
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
    environment.way.passed = 4 * STEP
    const one = upload(someFile(40 * STEP))
    server.trouble = ({ verb }) => {
      if (verb === 'chunk' && server.verbs('chunk').length > 4) seen ??= one.details
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
    const result = await upload(file, { onProgress: (p) => percents.push(p) }, true).start()
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
    const error = await failure(upload(someFile(9), {}, true).start())
    expect(error).toMatchObject({ name })
    expect(/413|too large/.test(String(error['message']))).toBe(name === 'TooLarge')
  })

  test('whose answer is lost is not sent twice', async () => {
    server.after = () => lost()
    const error = await failure(upload(someFile(9), {}, true).start())
    expect(error).toMatchObject({ name: 'AnswerLost', code: 'answer-lost' })
    expect(server.uploads.size).toBe(1)
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
