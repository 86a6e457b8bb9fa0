import { expect, test, vi } from 'vitest'
import { cards, choose, open } from './scene'
import { fileOf, made, MiB } from '../core/testing/upload'
import { after } from './testing'

vi.mock('../core', async (original) => ({
  ...(await original<typeof import('../core')>()),
  createUpload: (await import('../core/testing/upload')).fakeCreateUpload,
}))

const MESSAGE = 'The file has no video.'
const told = (severity: 'info' | 'fail') => ({
  verdict: severity === 'info' ? ('pass' as const) : ('fail' as const),
  policy: 'web',
  findings: [{ code: 'VIDEO-MISSING', severity, message: MESSAGE }],
})

test('what the ends of a video show is told while it goes on, and no longer', async () => {
  const page = await open()
  await choose(page, [fileOf('talk.mp4', 20 * MiB)])
  await after(() => made[0]!.report({ state: 'sending', bytesSafe: MiB }))
  const [card] = cards(page)
  expect(card!.textContent).not.toContain(MESSAGE)
  await after(() => made[0]!.options.onEarly!(told('fail')))
  expect(card!.querySelector('.notice')!.textContent).toContain(MESSAGE)
  expect(page.querySelector('[role=status][aria-live]')!.textContent).toContain(MESSAGE)
  expect(made[0]!.calls).toEqual(['start'])
  await after(() => made[0]!.succeed())
  expect(page.textContent).not.toContain(MESSAGE)
})

test('what is only information is not told', async () => {
  const page = await open()
  await choose(page, [fileOf('talk.mp4', 20 * MiB)])
  await after(() => made[0]!.report({ state: 'sending', bytesSafe: MiB }))
  await after(() => made[0]!.options.onEarly!(told('info')))
  expect(page.textContent).not.toContain(MESSAGE)
})
