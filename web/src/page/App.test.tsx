import { expect, test, vi } from 'vitest'
import { ConnectionLost, Refused } from '../core'
import { answers, asked, cards, choose, open } from './scene'
import type { FakeUpload } from '../core/testing/upload'
import { fileOf, made, MiB } from '../core/testing/upload'
import { after, button } from './testing'

vi.mock('../core', async (original) => ({
  ...(await original<typeof import('../core')>()),
  createUpload: (await import('../core/testing/upload')).fakeCreateUpload,
}))

test('a chosen file goes up at once, to where the page says', async () => {
  const page = await open()
  await choose(page, [fileOf('talk.mp4')])
  expect(made[0]!.options.endpoint).toBe('http://here/api')
  await after(() =>
    made[0]!.report({
      state: 'sending',
      bytesSafe: 5 * MiB,
      bytesSent: 8.34 * MiB,
      sending: [[5 * MiB, 10 * MiB]],
      speed: 2 * MiB,
      secondsLeft: 7.4,
    }),
  )
  const [card] = cards(page)
  expect(card!.textContent).toContain('41 %')
  expect(card!.textContent).toContain('5 MiB of 20 MiB safe · 2 MiB a second · 7 seconds left')
  expect(card!.querySelector('[role=progressbar]')!.getAttribute('aria-valuenow')).toBe('41')
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

test('the map draws what is safe and what is on the way, and its number is how much is drawn', async () => {
  const page = await open()
  await choose(page, [fileOf('talk.mp4')])
  const places = (kind: string) =>
    [...page.querySelectorAll(`svg.map rect.${kind}`)].map((one) => [
      one.getAttribute('x'),
      one.getAttribute('width'),
    ])
  const number = () => page.querySelector('svg.map')!.getAttribute('aria-valuenow')
  const sending = { state: 'sending', chunksDone: 1, bytesSafe: 5 * MiB } as const
  await after(() =>
    made[0]!.report({
      ...sending,
      bytesSent: 10 * MiB,
      safe: [[0, 5 * MiB]],
      sending: [
        [5 * MiB, 10 * MiB],
        [10 * MiB, 15 * MiB],
      ],
    }),
  )
  const map = page.querySelector('svg.map')!
  expect(map.getAttribute('aria-valuetext')).toBe(
    '50 percent. 4 chunks of 5 MiB: 1 safe, 2 on the way, 1 to come',
  )
  expect(places('safe')).toEqual([['0%', '25%']])
  expect(places('sending')).toEqual([
    ['25%', '12.5%'],
    ['50%', '12.5%'],
  ])
  expect(number()).toBe('50')
  expect(map.querySelectorAll('line')).toHaveLength(3)
  // Both chunks are lost.
  await after(() => made[0]!.report({ state: 'retrying', sending: [] }))
  expect(places('sending')).toEqual([])
  expect(number()).toBe('25')
  expect(page.querySelectorAll('progress, [role=progressbar]')).toHaveLength(1)
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

async function drop(items: object[], type = 'drop', transfer = 'dataTransfer'): Promise<void> {
  const event = new Event(type, { cancelable: true })
  Object.assign(event, { [transfer]: { types: ['Files'], items } })
  await after(() => window.dispatchEvent(event))
}

const dropped = (file: File) => ({ kind: 'file', getAsFile: () => file })

test('what was not taken is told, until the next files are chosen', async () => {
  const page = await open()
  await drop([])
  expect(page.textContent).toContain('Nothing that you dropped is a file.')
  await drop([dropped(fileOf('cat.mp4'))])
  expect(page.textContent).not.toContain('Nothing that you dropped')
})

test('a file that is pasted goes up', async () => {
  await open()
  await drop([dropped(fileOf('pasted.png'))], 'paste', 'clipboardData')
  expect(made.map((one) => one.file.name)).toEqual(['pasted.png'])
})

test('the same file chosen twice is sent once, and that is told', async () => {
  const page = await open()
  await choose(page, [fileOf('talk.mp4')])
  await choose(page, [fileOf('talk.mp4'), fileOf('cat.mp4')])
  expect(made.map((one) => one.file.name)).toEqual(['talk.mp4', 'cat.mp4'])
  expect(page.querySelector('.notice')!.textContent).toBe('“talk.mp4” is already in the list.')
})

test('a file that is too large or of another type is refused without a request', async () => {
  answers.set('GET /chunked-upload/accepted', {
    json: { max_size: 100 * MiB, allowed_types: ['video/*', 'audio/flac'] },
  })
  const page = await open()
  expect(page.textContent).toContain('Accepted: videos, audio/flac. At most 100 MiB for each file.')
  const input = page.querySelector<HTMLInputElement>('input[aria-label=Files]')!
  expect(input.accept).toBe('video/*,audio/flac')
  const before = asked.length
  const slides = new File(['x'], 'slides.zip', { type: 'application/zip' })
  await choose(page, [fileOf('film.mp4', 200 * MiB), slides])
  expect(made).toEqual([])
  expect(asked.length).toBe(before)
  expect(cards(page)[0]!.textContent).toContain(
    'This file is too large for the server: the limit is 100 MiB.Nothing was sent.',
  )
  expect(cards(page)[1]!.textContent).toContain('does not accept (application/zip)')
  expect(() => button(cards(page)[0]!, 'Upload anyway')).toThrow()
  await after(() => button(cards(page)[1]!, 'Upload anyway').click())
  expect(made.map((one) => one.file.name)).toEqual(['slides.zip'])
})

test('that the browser is offline is told at once, and so is its end', async () => {
  const page = await open()
  const online = vi.spyOn(navigator, 'onLine', 'get').mockReturnValue(false)
  await after(() => window.dispatchEvent(new Event('offline')))
  expect(page.querySelector('[role=alert]')!.textContent).toContain('You are offline.')
  online.mockRestore()
  await after(() => window.dispatchEvent(new Event('online')))
  expect(page.textContent).not.toContain('You are offline.')
})

test('a name that steers the direction of text is shown as what it is', async () => {
  const page = await open()
  await choose(page, [fileOf('photo\u202egpj.exe')])
  expect(page.querySelector('h3 bdi')!.textContent).toBe('photo‹U+202E›gpj.exe')
  expect(page.textContent).toContain('it contains an invisible control character')
  expect(made).toEqual([])
})

const focused = () => document.activeElement!.textContent

test('a button that takes the place of another takes its focus', async () => {
  const page = await open()
  await choose(page, [fileOf('talk.mp4')])
  await after(() => made[0]!.report({ state: 'sending', bytesSafe: 5 * MiB }))
  button(page, 'Pause').focus()
  await after(() => button(page, 'Pause').click())
  expect(focused()).toMatch(/^Resume/)
  await after(() => button(page, 'Resume').click())
  expect(focused()).toMatch(/^Pause/)
  await after(() => made[0]!.fail(new ConnectionLost('lost')))
  expect(focused()).toMatch(/^Try again/)
  await after(() => button(page, 'Try again').click())
  await after(() => made[0]!.report({ state: 'sending' }))
  expect(focused()).toMatch(/^Pause/)
  await after(() => made[0]!.report({ state: 'completing' }))
  expect(document.activeElement).toBe(cards(page)[0])
  await after(() => made[0]!.succeed())
  expect(focused()).toMatch(/^Remove from list/)
})

test('after an answer to the question, the focus is on what is there then', async () => {
  const page = await open()
  await choose(page, [fileOf('talk.mp4')])
  await after(() => made[0]!.report({ state: 'sending', bytesSafe: 5 * MiB }))
  button(page, 'Cancel').focus()
  await after(() => button(page, 'Cancel').click())
  expect(focused()).toMatch(/^Keep uploading/)
  await after(() => button(page, 'Keep uploading').click())
  expect(focused()).toMatch(/^Cancel/)
  await after(() => button(page, 'Cancel').click())
  button(page, 'Yes, delete').focus()
  await after(() => button(page, 'Yes, delete').click())
  expect(focused()).toMatch(/^Remove from list/)
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
