import { expect, test, vi } from 'vitest'
import { ConnectionLost, Refused } from '../core'
import { admit } from './App'
import { asked, cards, choose, open } from './scene'
import type { FakeUpload } from './testing'
import { after, button, fileOf, made, MiB } from './testing'

vi.mock('../core', async (original) => ({
  ...(await original<typeof import('../core')>()),
  createUpload: (await import('./testing')).fakeCreateUpload,
}))

test('a chosen file goes up at once, to where the page says', async () => {
  const page = await open()
  await choose(page, [fileOf('talk.mp4')])
  expect(made[0]!.options.endpoint).toBe('http://here/api')
  await after(() =>
    made[0]!.report({ state: 'sending', bytesSafe: 5 * MiB, speed: 2 * MiB, secondsLeft: 7.4 }, 41.7),
  )
  const [card] = cards(page)
  expect(card!.textContent).toContain('41 %')
  expect(card!.textContent).toContain('5 MiB of 20 MiB safe · 2 MiB a second · 7 seconds left')
  expect(card!.querySelector('progress')!.value).toBe(41)
})

test('two files go up at a time, the next when one has arrived', async () => {
  const page = await open()
  await choose(page, ['a.mp4', 'b.mp4', 'c.mp4'].map((name) => fileOf(name)))
  expect(made.map((one) => one.file.name)).toEqual(['a.mp4', 'b.mp4'])
  expect(cards(page)[2]!.textContent).toContain('Next')
  await after(() => made[0]!.succeed())
  expect(made.map((one) => one.file.name)).toEqual(['a.mp4', 'b.mp4', 'c.mp4'])
})

test('four small files go up at a time', async () => {
  const page = await open()
  await choose(page, ['a', 'b', 'c', 'd', 'e'].map((name) => fileOf(name, 1000)))
  expect(made.map((one) => one.file.name)).toEqual(['a', 'b', 'c', 'd'])
})

test('a paused file gives its slot to the next', () => {
  const large = [20 * MiB, 20 * MiB, 20 * MiB, 20 * MiB]
  expect(admit(['sending', 'paused', 'queued', 'queued'], large)).toEqual([true, true, true, false])
  expect(admit(['waiting', 'retrying', 'queued'], large)).toEqual([true, true, false])
  expect(admit(['done', 'failed', 'cancelled', 'queued'], large)).toEqual([true, true, true, true])
})

test('no small file overtakes a large one', () => {
  const sizes = [1000, 1000, 1000, 20 * MiB, 1000]
  const states = ['sending', 'sending', 'sending', 'queued', 'queued'] as const
  expect(admit(states, sizes)).toEqual([true, true, true, false, false])
})

test('two hundred files need no request for the list after each of them', async () => {
  const page = await open()
  await choose(
    page,
    Array.from({ length: 200 }, (_, number) => fileOf(`${number}.jpg`, 1000)),
  )
  const before = asked.length
  for (let sent = 0; sent < 200; sent++) await after(() => made[sent]!.succeed())
  expect(made).toHaveLength(200)
  expect(asked.length - before).toBeLessThanOrEqual(2)
})

test('the map draws what is safe and what is on the way, and says it', async () => {
  const page = await open()
  await choose(page, [fileOf('talk.mp4')])
  await after(() =>
    made[0]!.report({
      state: 'sending',
      chunksDone: 1,
      safe: [[0, 5 * MiB]],
      sending: [[5 * MiB, 10 * MiB]],
    }),
  )
  const map = page.querySelector('svg.map')!
  expect(map.getAttribute('aria-label')).toBe('4 chunks of 5 MiB: 1 safe, 1 on the way, 2 to come')
  const places = (kind: string) =>
    [...map.querySelectorAll(`rect.${kind}`)].map((one) => [
      one.getAttribute('x'),
      one.getAttribute('width'),
    ])
  expect(places('safe')).toEqual([['0%', '25%']])
  expect(places('sending')).toEqual([['25%', '25%']])
  expect(map.querySelectorAll('line')).toHaveLength(3)
})

test('an upload in the queue shows its position, and can leave the queue', async () => {
  const page = await open()
  await choose(page, [fileOf('talk.mp4')])
  await after(() => made[0]!.report({ state: 'waiting', position: 3 }))
  expect(cards(page)[0]!.textContent).toContain('3rd in the queueThe upload starts automatically')
  expect(page.querySelector('[role=status][aria-live]')!.textContent).toContain('3rd in the queue')
  await after(() => button(page, 'Leave the queue').click())
  expect(made[0]!.calls).toContain('cancel')
  expect(cards(page)[0]!.textContent).toContain('Cancelled')
})

test('pause, resume and try again do what they say', async () => {
  const page = await open()
  await choose(page, [fileOf('talk.mp4')])
  await after(() => made[0]!.report({ state: 'sending' }))
  await after(() => button(page, 'Pause').click())
  await after(() => button(page, 'Resume').click())
  await after(() => made[0]!.fail(new ConnectionLost('lost')))
  expect(page.querySelector('.trouble')!.textContent).toContain('The server cannot be reached.')
  await after(() => button(page, 'Try again').click())
  expect(made[0]!.calls).toEqual(['start', 'pause', 'resume', 'start'])
  expect(page.querySelector('.trouble')).toBeNull()
})

test('giving up ends the upload on the server before it leaves the list', async () => {
  const page = await open()
  await choose(page, [fileOf('talk.mp4')])
  await after(() => made[0]!.fail(new ConnectionLost('lost')))
  await after(() => button(page, 'Give up').click())
  expect(made[0]!.calls).toContain('cancel')
  expect(cards(page)).toHaveLength(0)
})

test.each([
  ['a running upload', 'Cancel', 'Keep uploading', (one: FakeUpload) => one.report({ state: 'sending' })],
  ['a paused one', 'Cancel', 'Keep it', (one: FakeUpload) => one.report({ state: 'paused' })],
  ['one that failed', 'Give up', 'Keep it', (one: FakeUpload) => one.fail(new ConnectionLost('lost'))],
])('%s whose bytes have arrived is deleted only after a question', async (_, end, keep, happen) => {
  const page = await open()
  await choose(page, [fileOf('talk.mp4')])
  await after(() => made[0]!.report({ state: 'sending', bytesSafe: 5 * MiB }))
  await after(() => happen(made[0]!))
  await after(() => button(page, end).click())
  const question = 'Cancel the upload and delete the 5 MiB that arrived? This cannot be undone.'
  expect(page.querySelector('article [role=alert]')!.textContent).toBe(question)
  await after(() => button(page, keep).click())
  expect(document.activeElement).toBe(button(page, end))
  expect(made[0]!.calls).not.toContain('cancel')
  await after(() => button(page, end).click())
  await after(() => button(page, 'Yes, delete').click())
  expect(made[0]!.calls).toContain('cancel')
})

test('an upload that finishes while it is asked for its deletion is kept', async () => {
  const page = await open()
  await choose(page, [fileOf('talk.mp4')])
  await after(() => made[0]!.report({ state: 'sending', bytesSafe: 5 * MiB }))
  await after(() => button(page, 'Cancel').click())
  await after(() => made[0]!.succeed())
  expect(() => button(page, 'Yes, delete')).toThrow()
  expect(made[0]!.calls).not.toContain('cancel')
})

test('a file that would only be refused again is not tried again', async () => {
  const page = await open()
  await choose(page, [fileOf('talk.zip')])
  await after(() => made[0]!.fail(new Refused('no', { code: 'type-refused' })))
  expect(() => button(page, 'Try again')).toThrow()
  await after(() => button(page, 'Remove from list').click())
  expect(cards(page)).toHaveLength(0)
})

test('a size that was refused is told in a quiet line', async () => {
  const page = await open()
  await choose(page, [fileOf('talk.mp4')])
  await after(() =>
    made[0]!.report({ state: 'sending', refusedSize: 5 * MiB, chunkSize: 640 * 1024 }),
  )
  expect(page.querySelector('.quiet')!.textContent).toBe(
    'Requests of 5 MiB are refused. The upload continues with 640 KiB.',
  )
})

async function drop(items: object[]): Promise<void> {
  const event = new Event('drop', { cancelable: true })
  Object.assign(event, { dataTransfer: { types: ['Files'], items } })
  await after(() => window.dispatchEvent(event))
}

const dropped = (name: string, isDirectory: boolean) => ({
  kind: 'file',
  getAsFile: () => fileOf(name),
  webkitGetAsEntry: () => ({ name, isDirectory }),
})

test('a folder that is dropped is left out with a sentence, and the file beside it is taken', async () => {
  const page = await open()
  await drop([dropped('holiday', true), dropped('talk.mp4', false)])
  expect(page.textContent).toContain('The folder “holiday” was skipped. Choose the files in it instead.')
  expect(cards(page).map((card) => card.getAttribute('aria-label'))).toEqual(['talk.mp4'])
  await drop([dropped('a', true), dropped('b', true)])
  expect(page.textContent).toContain('2 folders were skipped. Choose the files in them instead.')
  await drop([dropped('cat.mp4', false)])
  expect(page.textContent).not.toContain('skipped')
  await drop([])
  expect(page.textContent).toContain('Nothing that you dropped is a file.')
})

test('what is dropped anywhere on the page goes up', async () => {
  const page = await open()
  const transfer = { types: ['Files'], items: [{ kind: 'file', getAsFile: () => fileOf('d.mp4') }] }
  const drag = (type: string) =>
    after(() => {
      const event = new Event(type, { bubbles: true, cancelable: true })
      window.dispatchEvent(Object.assign(event, { dataTransfer: transfer }))
      expect(event.defaultPrevented).toBe(true)
    })
  await drag('dragenter')
  expect(page.textContent).toContain('Drop the files')
  await drag('dragover')
  await drag('drop')
  expect(made.map((one) => one.file.name)).toEqual(['d.mp4'])
  expect(page.textContent).not.toContain('Drop the files')
})

test('a server that cannot be reached is told of', async () => {
  vi.stubGlobal('fetch', () => Promise.reject(new TypeError('no network')))
  const page = await open()
  expect(page.querySelector('[role=alert]')!.textContent).toContain('The server cannot be reached.')
})
