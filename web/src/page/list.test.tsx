import { expect, test, vi } from 'vitest'
import { ConnectionLost } from '../core'
import { cards, choose, open } from './scene'
import { fileOf, made, MiB } from '../core/testing/upload'
import { after, button } from './testing'

vi.mock('../core', async (original) => ({
  ...(await original<typeof import('../core')>()),
  createUpload: (await import('../core/testing/upload')).fakeCreateUpload,
}))

const photos = (count: number) =>
  Array.from({ length: count }, (_, number) => fileOf(`${number}.jpg`, 1000))
const rows = (page: HTMLElement) => [...page.querySelectorAll<HTMLElement>('.list li')]
const row = (page: HTMLElement, name: string) =>
  rows(page).find((one) => one.querySelector('bdi')?.textContent === name)!
const bar = (page: HTMLElement) => page.querySelector<HTMLElement>('.status')!

test('of many files, only the rows on the screen are in the document, and none is open', async () => {
  const page = await open()
  await choose(page, photos(1000))
  expect(rows(page).length).toBeLessThan(20)
  expect(rows(page)[0]!.getAttribute('aria-setsize')).toBe('1000')
  expect(cards(page)).toHaveLength(0)
  expect(bar(page).textContent).toContain('0 of 1000 files uploaded')
})

test('a row opens to the whole card, and closes again', async () => {
  const page = await open()
  await choose(page, photos(5))
  await after(() => button(row(page, '1.jpg'), '1.jpg').click())
  expect(cards(page).map((card) => card.getAttribute('aria-label'))).toEqual(['1.jpg'])
  await after(() => button(row(page, '2.jpg'), '2.jpg').click())
  expect(cards(page).map((card) => card.getAttribute('aria-label'))).toEqual(['2.jpg'])
  await after(() => button(row(page, '2.jpg'), '2.jpg').click())
  expect(cards(page)).toHaveLength(0)
})

test('what has arrived is folded into one row, and unfolds', async () => {
  const page = await open()
  await choose(page, photos(5))
  await after(() => made[0]!.succeed())
  await after(() => made[1]!.succeed())
  await after(() => made[2]!.cancel())
  expect(rows(page).map((one) => one.querySelector('.name')!.textContent)).toEqual([
    '3.jpg',
    '4.jpg',
    '2 files uploaded, 1 cancelled',
  ])
  await after(() => button(page, '2 files uploaded').click())
  expect(row(page, '0.jpg').textContent).toContain('Uploaded')
})

test('a row with the focus keeps its place when its file has arrived', async () => {
  const page = await open()
  await choose(page, photos(5))
  await after(() => button(row(page, '0.jpg'), '0.jpg').focus())
  await after(() => made[0]!.succeed())
  expect(rows(page)[0]!.textContent).toContain('0.jpg')
  expect(rows(page)[0]!.contains(document.activeElement)).toBe(true)
  await after(() => button(page, 'Choose files').focus())
  expect(rows(page)[0]!.textContent).toContain('1.jpg')
})

test('a file that has stopped comes first, says why, and is announced; those that arrive are not', async () => {
  const page = await open()
  const said = () => page.querySelector('[role=status][aria-live]')!.textContent
  await choose(page, photos(5))
  await after(() => made[0]!.succeed())
  expect(said()).toBe('')
  await after(() => made[2]!.fail(new ConnectionLost('lost')))
  expect(rows(page)[0]!.textContent).toContain('2.jpg')
  expect(rows(page)[0]!.textContent).toContain('The server cannot be reached.')
  expect(said()).toBe('1 file stopped. 2.jpg: The server cannot be reached.')
  for (const number of [1, 3, 4]) await after(() => made[number]!.succeed())
  expect(said()).toBe('4 of 5 files uploaded.')
})

test('the bar adds up, and its buttons are for all', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'setTimeout', 'clearTimeout', 'performance'] })
  const pass = async (seconds: number) => {
    for (let tick = 0; tick < 4 * seconds; tick++) await after(() => vi.advanceTimersByTimeAsync(250))
  }
  const page = await open()
  await choose(page, [fileOf('a', 4 * MiB), fileOf('b', 4 * MiB), fileOf('c', 8 * MiB)])
  for (let second = 1; second <= 2; second++) {
    await after(() => made[0]!.report({ state: 'sending', chunkSize: null, bytesSent: second * MiB }))
    await pass(1)
  }
  expect(bar(page).textContent).toContain('0 of 3 files uploaded')
  expect(bar(page).textContent).toMatch(/2 MiB of 16 MiB · .* a second · \d+ seconds left/)
  await pass(6)
  expect(bar(page).textContent).toContain('2 MiB of 16 MiB')
  expect(bar(page).textContent).not.toContain('a second')
  expect(bar(page).textContent).not.toContain('left')

  button(page, 'Pause all').focus()
  await after(() => button(page, 'Pause all').click())
  expect(bar(page).textContent).toContain('· Paused')
  expect(document.activeElement).toBe(button(page, 'Resume all'))
  await after(() => button(page, 'Resume all').click())
  expect(document.activeElement).toBe(button(page, 'Pause all'))
  expect(made[0]!.calls).toEqual(['start', 'pause', 'resume'])
})

test('cancelling all asks first, and finished files can be cleared', async () => {
  const page = await open()
  await choose(page, photos(5))
  await after(() => made[0]!.succeed())
  await after(() => made[1]!.report({ state: 'sending', bytesSafe: 500 }))
  await after(() => button(page, 'Cancel all').click())
  expect(bar(page).textContent).toContain('Cancel 4 uploads and delete the 500 bytes that arrived?')
  await after(() => button(page, 'Keep them').click())
  expect(made.flatMap((one) => one.calls)).not.toContain('cancel')
  await after(() => button(page, 'Cancel all').click())
  await after(() => button(page, 'Yes, delete').click())
  expect(made[1]!.calls).toContain('cancel')
  expect(bar(page).textContent).toContain('1 of 1 file uploaded')
  await after(() => button(page, 'Clear finished').click())
  expect(page.querySelector('.list')).toBeNull()
  expect(document.activeElement!.textContent).toBe('Wherry')
})
