/** @jsxImportSource react */

import { act } from 'react'
import type { ReactNode } from 'react'
import { createRoot } from 'react-dom/client'
import { afterEach, expect, test, vi } from 'vitest'
import { ConnectionLost } from '../core'
import { FakeServer, FakeEnvironment, listened, someFile, STEP } from '../core/testing/fake'
import { OneUpload } from '../core/upload'
import { fakeCreateUpload, fileOf, made, MiB } from '../core/testing/upload'
import { rendering } from '../core/testing/rendering'
import type { UploadOptions } from '../core'
import { useUpload } from './useUpload'
import type { UseUpload } from './useUpload'

vi.mock('../core', async (original) => ({
  ...(await original<typeof import('../core')>()),
  createUpload: (file: File, options: UploadOptions) => create(file, options),
}))

Object.assign(globalThis, { IS_REACT_ACT_ENVIRONMENT: true })
const { render, cleanUp, after } = rendering<ReactNode>({ createRoot, act })

let create = fakeCreateUpload

afterEach(async () => {
  vi.useRealTimers()
  create = fakeCreateUpload
  await cleanUp()
})

let seen: UseUpload

function Probe({ options }: { options?: UploadOptions }) {
  seen = useUpload(options)
  return null
}

test('nothing happens before a file is given', async () => {
  await render(<Probe />)
  expect(seen.details).toBeNull()
  expect(made).toHaveLength(0)
})

test('a file given is an upload begun, with the options of that moment', async () => {
  const onProgress = vi.fn()
  await render(<Probe options={{ endpoint: '/there', onProgress }} />)
  await after(() => seen.start(fileOf('talk.mp4')))
  expect(made[0]!.calls).toEqual(['start'])
  expect(made[0]!.options.endpoint).toBe('/there')
  await after(() => made[0]!.report({ state: 'sending' }, 3))
  expect(onProgress).toHaveBeenCalledWith(3, expect.objectContaining({ state: 'sending' }))
  expect(seen.percent).toBe(3)
})

test('a change of state is shown at once, numbers after a moment', async () => {
  vi.useFakeTimers()
  await render(<Probe />)
  await after(() => seen.start(fileOf('talk.mp4')))
  await after(() => made[0]!.report({ state: 'sending', bytesSafe: MiB }, 5))
  expect(seen.details).toMatchObject({ state: 'sending', bytesSafe: MiB })
  await after(() => made[0]!.report({ bytesSafe: 2 * MiB }, 10))
  await after(() => made[0]!.report({ bytesSafe: 3 * MiB }, 15))
  expect(seen.percent).toBe(5)
  await after(() => vi.advanceTimersByTime(200))
  expect(seen.percent).toBe(15)
  expect(seen.details!.bytesSafe).toBe(3 * MiB)
})

test('the result is the server’s answer', async () => {
  await render(<Probe />)
  await after(() => seen.start(fileOf('talk.mp4')))
  await after(() => made[0]!.succeed({ assessment_id: 'a1' }))
  expect(seen.result).toMatchObject({ assessment_id: 'a1' })
  expect(seen.percent).toBe(100)
  expect(seen.details!.state).toBe('done')
})

test('a failure is shown, and again goes on with the same upload', async () => {
  await render(<Probe />)
  await after(() => seen.start(fileOf('talk.mp4')))
  const lost = new ConnectionLost('There is no connection.')
  await after(() => made[0]!.fail(lost))
  expect(seen.failure).toBe(lost)
  await after(() => seen.again())
  expect(made).toHaveLength(1)
  expect(made[0]!.calls).toEqual(['start', 'start'])
  expect(seen.failure).toBeNull()
})

test('what is thrown and is no UploadFailure becomes one', async () => {
  await render(<Probe />)
  await after(() => seen.start(fileOf('talk.mp4')))
  await after(() => made[0]!.fail(new TypeError('odd')))
  expect(seen.failure).toMatchObject({ message: 'odd', code: '' })
})

test('cancelling is not a failure', async () => {
  await render(<Probe />)
  await after(() => seen.start(fileOf('talk.mp4')))
  await after(() => seen.cancel())
  expect(seen.failure).toBeNull()
  expect(seen.details!.state).toBe('cancelled')
})

test('an upload that its application aborts is not a failure either', async () => {
  await render(<Probe />)
  await after(() => seen.start(fileOf('talk.mp4')))
  await after(() => made[0]!.abort())
  expect(seen.failure).toBeNull()
  expect(seen.details!.state).toBe('cancelled')
})

test('pausing and resuming reach the upload', async () => {
  await render(<Probe />)
  await after(() => seen.start(fileOf('talk.mp4')))
  await after(() => seen.pause())
  expect(seen.details!.state).toBe('paused')
  await after(() => seen.resume())
  expect(seen.details!.state).toBe('sending')
})

test('a component that goes away sends nothing more', async () => {
  await render(<Probe />)
  await after(() => seen.start(fileOf('talk.mp4')))
  const upload = made[0]!
  await cleanUp()
  expect(upload.calls).toEqual(['start', 'pause'])
})

test('another file pauses the one before, which is heard of no more', async () => {
  await render(<Probe />)
  await after(() => seen.start(fileOf('one.mp4')))
  await after(() => seen.start(fileOf('two.mp4')))
  expect(made[0]!.calls).toEqual(['start', 'pause'])
  await after(() => made[0]!.report({ state: 'sending' }, 50))
  expect(seen.file!.name).toBe('two.mp4')
  expect(seen.details!.state).toBe('starting')
  expect(seen.percent).toBe(0)
})

test.each(['goes away', 'is given another'])(
  'a component that %s lets go of its file, and the server keeps what it has',
  async (what) => {
    const server = new FakeServer()
    const environment = new FakeEnvironment(server)
    create = (file, options) => new OneUpload(file, options, false, environment)
    let isHeld = false
    server.hold = ({ verb }) =>
      new Promise((resolve) => {
        if (verb !== 'chunk') return resolve()
        isHeld = true
      })
    const signal = listened()
    await render(<Probe options={{ signal }} />)
    await after(() => seen.start(someFile(9 * STEP)))
    await vi.waitUntil(() => isHeld)
    const first = server.only
    if (what === 'goes away') {
      await cleanUp()
      await vi.waitUntil(() => server.atOnce === 0)
    } else {
      server.hold = async () => undefined
      await after(() => seen.start(someFile(9 * STEP, 2)))
      await after(() => vi.waitUntil(() => seen.result))
      expect(seen.result!.upload_id).not.toBe(first.id)
    }
    expect([environment.listening, signal.listening]).toEqual([0, 0])
    expect(first.state).toBe('receiving')
    expect(server.verbs('cancel')).toEqual([])
  },
)
