import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Recorder } from './Recorder'
import { after, button, cleanUp, render } from './testing'

class FakeRecorder extends EventTarget {
  readonly mimeType = 'video/webm;codecs=vp9,opus'
  start = vi.fn()

  last = 'last'

  stop(): void {
    this.give(this.last)
    this.dispatchEvent(new Event('stop'))
  }

  give(text: string): void {
    this.dispatchEvent(Object.assign(new Event('dataavailable'), { data: new Blob([text]) }))
  }
}

let recorder: FakeRecorder
const track = { stop: vi.fn() }
const getUserMedia = vi.fn()
const files: File[] = []

beforeEach(() => {
  files.length = 0
  recorder = new FakeRecorder()
  getUserMedia.mockResolvedValue(Object.assign(new MediaStream(), { getTracks: () => [track] }))
  vi.stubGlobal('MediaRecorder', function () {
    return recorder
  })
  vi.stubGlobal('navigator', { mediaDevices: { getUserMedia } })
})

afterEach(async () => {
  await cleanUp()
  vi.clearAllMocks()
  vi.unstubAllGlobals()
})

const open = () => render(<Recorder onFile={(file) => files.push(file)} />)

test('what is recorded is a file in the end, and the camera is off', async () => {
  const page = await open()
  expect(page.textContent).not.toContain('Record the screen') // as on a phone
  await after(() => button(page, 'Record the camera').click())
  expect(recorder.start).toHaveBeenCalled()
  await after(() => recorder.give('first '))
  await after(() => button(page, 'Stop and upload').click())
  expect(track.stop).toHaveBeenCalled()
  expect(files[0]!.name).toMatch(/^recording-[\d-]+\.webm$/)
  expect(files[0]!.type).toBe('video/webm')
  expect(await files[0]!.text()).toBe('first last')
  expect(button(page, 'Record the camera')).toBeTruthy()
})

test('a recording that ends before its first picture is no file, and the page says so', async () => {
  const page = await open()
  await after(() => button(page, 'Record the camera').click())
  recorder.last = ''
  await after(() => button(page, 'Stop and upload').click())
  expect(files).toEqual([])
  expect(page.querySelector('[role=alert]')!.textContent).toContain('before the first picture')
})

test('what is discarded is no file', async () => {
  const page = await open()
  await after(() => button(page, 'Record the camera').click())
  await after(() => button(page, 'Discard').click())
  expect(track.stop).toHaveBeenCalled()
  expect(files).toEqual([])
})

test.each([
  ['NotAllowedError', 'The browser does not allow this recording.'],
  ['NotFoundError', 'No camera or microphone was found.'],
  ['NotReadableError', 'The recording could not be started.'],
])('a recording that cannot begin says why (%s)', async (name, words) => {
  getUserMedia.mockRejectedValue(Object.assign(new Error('no'), { name }))
  const page = await open()
  await after(() => button(page, 'Record the camera').click())
  expect(page.querySelector('[role=alert]')!.textContent).toContain(words)
})

test('a page that is left in between turns the camera off', async () => {
  const page = await open()
  await after(() => button(page, 'Record the camera').click())
  await cleanUp()
  expect(track.stop).toHaveBeenCalled()
})

test('a browser that cannot record offers nothing', async () => {
  vi.stubGlobal('navigator', {})
  expect((await open()).textContent).toBe('')
})
