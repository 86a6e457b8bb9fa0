import { afterEach, expect, test, vi } from 'vitest'
import type { Kept, KeptFiles } from './keptFiles'
import { answers, asked, cards, choose, known, list, open } from './scene'
import { paths } from './server'
import { fileOf, made, MiB } from '../core/testing/upload'
import { after, button } from './testing'

vi.mock('../core', async (original) => ({
  ...(await original<typeof import('../core')>()),
  createUpload: (await import('../core/testing/upload')).fakeCreateUpload,
}))

const records: Kept[] = []

vi.mock('./keptFiles', () => ({
  keptFilesOf: async (): Promise<KeptFiles> => ({
    alone: (act) => act(new Set()),
    records: async () => [...records],
    put: async () => undefined,
    remove: async (id) => void records.splice(0, records.length, ...records.filter((one) => one.id !== id)),
    copies: async () => [],
    copy: async () => undefined,
    read: async () => fileOf('talk.mp4'),
    room: async () => 0,
  }),
}))

const kept = (more: Partial<Kept> = {}): Kept => ({
  ...{ id: 'closed.1', page: 'closed', api: 'http://here/api', who: null, uploadId: 'known' },
  ...{ isPaused: false, path: 'talk.mp4', name: 'talk.mp4', type: 'video/mp4' },
  ...{ size: 20 * MiB, lastModified: 1, handle: null, keptAt: Date.now() },
  ...more,
})

afterEach(() => {
  made.length = records.length = 0
})

test('an unfinished upload whose file the browser has kept goes on with a click, and then asks whether it may', async () => {
  const permissions: string[] = []
  const handle = {
    getFile: async () => fileOf('talk.mp4'),
    queryPermission: async () => (permissions.push('query'), 'prompt'),
    requestPermission: async () => (permissions.push('request'), 'granted'),
  } as unknown as FileSystemFileHandle
  records.push(kept({ handle }))
  list({ json: { uploads: [known()] } })
  const page = await open()
  await vi.waitFor(async () => {
    await after(() => undefined)
    button(page, 'Continue')
  })
  expect(permissions).toEqual(['query'])
  await after(() => button(page, 'Continue').click())
  await vi.waitFor(() => expect(made).toHaveLength(1))
  expect(permissions).toEqual(['query', 'request'])
  await after(() => made[0]!.report({ state: 'sending', bytesSafe: 8 * MiB }))
  expect(cards(page)).toHaveLength(1)
  expect(page.textContent).not.toContain('Unfinished uploads')
  expect(document.activeElement!.textContent).toBe('Wherry')
})

test('forgetting the key removes what the browser has kept', async () => {
  sessionStorage.setItem('wherry-key', 'k1')
  list({ json: { uploads: [known()] } })
  records.push(kept({ isPaused: true }), kept({ id: 'closed.2', api: 'http://here/other' }))
  const page = await open()
  await vi.waitFor(async () => {
    await after(() => undefined)
    button(page, 'Continue')
  })
  await after(() => button(page, 'Forget the key').click())
  await vi.waitFor(() => expect(records.map(({ id }) => id)).toEqual(['closed.2']))
})

test('an unfinished upload waits for its file, and goes on with it', async () => {
  list({ json: { uploads: [known()] } })
  const page = await open()
  expect(cards(page)[0]!.textContent).toContain('8 MiB of 20 MiB safe')
  await after(() => button(page, 'Choose the file to continue').click())
  await choose(page, [fileOf('talk.mp4')], 'The same file again')
  made[0]!.uploadId = 'known'
  await after(() => made[0]!.report({ state: 'sending', bytesSafe: 8 * MiB }))
  expect(cards(page)).toHaveLength(1)
  expect(cards(page)[0]!.textContent).toContain('Continuing an earlier upload: 8 MiB were safe already.')
})

test('another file than the unfinished one is told so, and is an upload of its own', async () => {
  list({ json: { uploads: [known()] } })
  const page = await open()
  await after(() => button(page, 'Choose the file to continue').click())
  await choose(page, [fileOf('cat.mp4')], 'The same file again')
  made[0]!.uploadId = 'new'
  await after(() => made[0]!.report({ state: 'sending' }))
  expect(cards(page)).toHaveLength(2)
  expect(cards(page)[0]!.textContent).toContain(
    'This is not the file of the unfinished upload “talk.mp4”.',
  )
})

test('an unfinished upload can be deleted, and that is asked for twice', async () => {
  list({ json: { uploads: [known()] } })
  answers.set('DELETE /chunked-upload/known', {})
  const page = await open()
  list({ json: { uploads: [] } })
  await after(() => button(page, 'Delete').click())
  expect(page.textContent).toContain('This cannot be undone.')
  await after(() => button(page, 'Keep it').click())
  await after(() => button(page, 'Delete').click())
  expect(asked.map((one) => one.method)).not.toContain('DELETE')
  await after(() => button(page, 'Yes, delete').click())
  expect(asked.map((one) => `${one.method} ${one.path}`)).toContain('DELETE /chunked-upload/known')
  expect(page.textContent).not.toContain('Unfinished uploads')
})

test('an upload of another tab is shown as under way, and not offered for deletion', async () => {
  const names = ['wherry http://here/api j1-film']
  const query = async () => ({ held: names.map((name) => ({ name })) })
  vi.stubGlobal('navigator', { ...navigator, locks: { query } })
  list({ json: { uploads: [known({ fingerprint: 'j1-film' })] } })
  const page = await open()
  expect(page.textContent).toContain('Another tab or program is uploading these files.')
  expect(page.textContent).not.toContain('Unfinished uploads')
  expect(page.textContent).not.toContain('Delete')
})

test('an upload that grows between two looks is under way elsewhere, without any locks', async () => {
  vi.stubGlobal('navigator', { ...navigator, locks: undefined })
  list({ json: { uploads: [known()] } })
  const page = await open()
  expect(page.textContent).toContain('Unfinished uploads')
  list({ json: { uploads: [known({ received_bytes: 9 * MiB })] } })
  await after(() => window.dispatchEvent(new Event('focus')))
  expect(page.textContent).toContain('Uploading elsewhere')
  expect(page.textContent).not.toContain('Delete')
})

test('unfinished uploads on later pages are shown, and what finished meanwhile is shown once', async () => {
  const unfinished = `GET ${paths.unfinished}`
  const done = known({ upload_id: 'done', filename: 'done.mp4', state: 'complete' })
  answers.set(unfinished, {
    json: { uploads: [known({ filename: 'a.mp4' }), known({ upload_id: 'done' })], next: '1.5_k' },
  })
  answers.set(`${unfinished}&after=1.5_k`, {
    json: { uploads: [known({ upload_id: 'last', filename: 'z.mp4' })], next: null },
  })
  answers.set(`GET ${paths.newestFinished}`, { json: { uploads: [done], next: '1_x' } })
  const page = await open()
  expect(cards(page).map((card) => card.getAttribute('aria-label'))).toEqual(['a.mp4', 'z.mp4'])
  expect(page.textContent).toContain('done.mp4')
})
