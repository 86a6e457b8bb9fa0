import { expect, test, vi } from 'vitest'
import { answers, asked, cards, choose, known, list, open } from './scene'
import { paths } from './server'
import { fileOf, made, MiB } from '../core/testing/upload'
import { after, button } from './testing'

vi.mock('../core', async (original) => ({
  ...(await original<typeof import('../core')>()),
  createUpload: (await import('../core/testing/upload')).fakeCreateUpload,
}))

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
