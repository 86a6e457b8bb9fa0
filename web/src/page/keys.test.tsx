import { expect, test, vi } from 'vitest'
import { Unauthorized } from '../core'
import { asked, cards, choose, known, list, open, type } from './scene'
import { fileOf, made, MiB } from '../core/testing/upload'
import { after, button } from './testing'

vi.mock('../core', async (original) => ({
  ...(await original<typeof import('../core')>()),
  createUpload: (await import('../core/testing/upload')).fakeCreateUpload,
}))

test('a server with keys is given one, and every request carries it', async () => {
  list({ json: { uploads: [known()] }, key: 'k1' })
  const page = await open()
  const field = page.querySelector<HTMLInputElement>('#key')!
  expect(field.type).toBe('password')
  await type(field, 'k1')
  await after(() => button(page, 'Use this key').click())
  expect(page.querySelector('#key')).toBeNull()
  expect(page.textContent).toContain('Unfinished uploads')
  expect(asked.at(-1)!.authorization).toBe('Bearer k1')
  expect(sessionStorage.getItem('wherry-key')).toBeNull()
  await choose(page, [fileOf('other.mp4')])
  const headers = made[0]!.options.headers as () => Record<string, string>
  expect(headers()).toEqual({ Authorization: 'Bearer k1' })
})

test('a key is kept only where its owner wants that, and forgotten when told to', async () => {
  list({ json: { uploads: [] }, key: 'k1' })
  const page = await open()
  await type(page.querySelector<HTMLInputElement>('#key')!, 'k1')
  await after(() => page.querySelector<HTMLInputElement>('input[type=checkbox]')!.click())
  await after(() => button(page, 'Use this key').click())
  expect(sessionStorage.getItem('wherry-key')).toBe('k1')
  await after(() => button(page, 'Forget the key').click())
  expect(sessionStorage.getItem('wherry-key')).toBeNull()
  expect(page.querySelector('#key')).not.toBeNull()
})

test('a wrong key is said to be wrong', async () => {
  list({ json: { uploads: [] }, key: 'k1' })
  const page = await open()
  await type(page.querySelector<HTMLInputElement>('#key')!, 'wrong')
  await after(() => button(page, 'Use this key').click())
  expect(page.querySelector('form')!.textContent).toContain('This key is not valid')
})

test('a login that ends in mid-upload is asked for again, and the upload goes on', async () => {
  const page = await open()
  await choose(page, [fileOf('talk.mp4'), fileOf('other.mp4')])
  await after(() => made[0]!.report({ state: 'sending', bytesSafe: 5 * MiB }))
  await after(() => made[0]!.fail(new Unauthorized('x', { status: 401, code: 'unauthorized' })))
  expect(page.querySelector('#key')).not.toBeNull()
  expect(cards(page)[0]!.textContent).toContain('5 MiB of 20 MiB are safe')
  await type(page.querySelector<HTMLInputElement>('#key')!, 'k2')
  await after(() => button(page, 'Use this key').click())
  expect(made[0]!.calls).toEqual(['start', 'start'])
  // The other was refused with the old key, too, and finds the new one there already.
  await after(() => made[1]!.fail(new Unauthorized('x', { status: 401, code: 'unauthorized' })))
  expect(page.querySelector('#key')).toBeNull()
  expect(made[1]!.calls).toEqual(['start', 'start'])
  // The new one is refused as well.
  await after(() => made[1]!.fail(new Unauthorized('x', { status: 401, code: 'unauthorized' })))
  expect(page.querySelector('#key')).not.toBeNull()
})

test('a host application’s page asks for no key, and goes on after the login', async () => {
  list({ status: 401 })
  const page = await open(false)
  expect(page.querySelector('#key')).toBeNull()
  expect(page.textContent).toContain('You are not logged in')
  list({ json: { uploads: [known()] } })
  await after(() => button(page, 'Continue').click())
  expect(page.textContent).toContain('Unfinished uploads')
})
