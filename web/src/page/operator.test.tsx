import { beforeEach, afterEach, expect, test, vi } from 'vitest'
import { answers, asked, known, open } from './scene'
import { MiB } from '../core/testing/upload'
import { ANYTHING } from './accepted'
import { diagnosticsOf, timelineOf } from './diagnostics'
import { paths } from './server'
import type { OperatorsUpload, Overview } from './server'
import { after, button } from './testing'
import { EVERY, Speeds } from './watching'

vi.mock('../core', async (original) => ({
  ...(await original<typeof import('../core')>()),
  createUpload: (await import('../core/testing/upload')).fakeCreateUpload,
}))

const upload = (more: Partial<OperatorsUpload> = {}): OperatorsUpload => ({
  ...known(),
  owner: 'alice',
  content_type: 'video/mp4',
  chunk_size: 5 * MiB,
  missing: [[8 * MiB, 20 * MiB]],
  failure: null,
  ticket_id: null,
  position: null,
  created_at: '2026-11-23T14:00:00Z',
  queued_at: null,
  admitted_at: '2026-11-23T14:05:00Z',
  last_byte_at: '2026-11-23T14:59:48Z',
  completed_at: null,
  ...more,
})

const overview = (used = 8 * MiB): Overview => ({
  at: '2026-11-23T15:00:00Z',
  version: '1.2.3',
  python: '3.14.0',
  problems: [],
  uploads: { waiting: 1, receiving: 1, completing: 0 },
  max_open: 1,
  waiting_since: '2026-11-23T14:58:00Z',
  storage: { total: 100 * MiB, free: 60 * MiB, reserved: 12 * MiB, used, uploads: 1, waiting: 1 },
  min_free: 5 * MiB,
  assessments: { queued: 0, running: 0, failed: 0 },
  worker: null,
  paths: [
    {
      host: 'uploads.example',
      passes: MiB,
      refuses: 2 * MiB,
      refused_at: '2026-11-23T14:30:00Z',
      refused_by: 'nginx',
      owners: 2,
      confirmed: false,
    },
  ],
})

const waiting = upload({
  upload_id: 'next',
  filename: 'next.mp4',
  state: 'waiting',
  position: 1,
  received_bytes: 0,
  received: [],
  queued_at: '2026-11-23T14:58:00Z',
  admitted_at: null,
  last_byte_at: null,
})

const refused = upload({ upload_id: 'bad', filename: 'bad.exe', state: 'failed', failure: 'type-refused', expires_at: null })

let isHidden = false

beforeEach(() => {
  location.hash = ''
  isHidden = false
  vi.spyOn(document, 'hidden', 'get').mockImplementation(() => isHidden)
  answers.set(`GET ${paths.accepted}`, { json: { ...ANYTHING, operator: true } })
  answers.set(`GET ${paths.overview}`, { json: overview() })
  answers.set(`GET ${paths.everybodysUnfinished}`, { json: { uploads: [waiting, upload()] } })
  answers.set(`GET ${paths.everybodysEnded}`, { json: { uploads: [refused] } })
})

afterEach(() => {
  location.hash = ''
})

async function openView(): Promise<HTMLElement> {
  location.hash = '#operator'
  const page = await open()
  await vi.waitFor(async () => {
    await after(() => undefined)
    expect(page.querySelector('.operator table')).not.toBeNull()
  })
  return page
}

const looks = () => asked.filter(({ path }) => path === paths.overview).length

test('only an operator is shown the way to the view, and nothing of it is asked for before', async () => {
  const page = await open()
  expect(page.querySelector('header a')!.getAttribute('href')).toBe('#operator')
  expect(looks()).toBe(0)
})

test('others are not shown the way', async () => {
  answers.set(`GET ${paths.accepted}`, { json: ANYTHING })
  expect((await open()).querySelector('header a')).toBeNull()
})

test('whoever is refused by the server is told that the view is for operators', async () => {
  answers.set(`GET ${paths.overview}`, { status: 404, json: { code: 'not-found' } })
  location.hash = '#operator'
  const page = await open()
  await vi.waitFor(async () => {
    await after(() => undefined)
    expect(page.textContent).toContain('This view is for operators.')
  })
  expect(asked.map(({ path }) => path)).not.toContain(paths.everybodysUnfinished)
})

test('it has uploads in flight, the queue, storage, paths, and what has failed with its reason', async () => {
  const page = await openView()
  const rows = [...page.querySelectorAll('tbody tr')].map((row) =>
    [...row.querySelectorAll('td')].map((cell) => cell.textContent),
  )
  expect(rows).toEqual([
    ['talk.mp4', 'alice', 'receiving', '8 MiB of 20 MiB', '', '12 seconds ago'],
    ['next.mp4', 'alice', '1', '20 MiB', '2 minutes'],
    ['bad.exe', 'alice', 'refused', 'type-refused', expect.stringContaining('23 Nov 2026')],
    ['uploads.example', '1 MiB', '2 MiB', 'nginx', '2 owners, not confirmed'],
  ])
  expect(page.textContent).toContain('1 of 1')
  expect(page.textContent).toContain('1 upload, the first for 2 minutes')
  expect(page.textContent).toContain('8 MiB used, 12 MiB reserved')
  expect(page.textContent).toContain('60 MiB of 100 MiB free')
})

test('it looks again every few seconds, and not while the tab is hidden', async () => {
  const page = await openView()
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const turn = (hidden: boolean) =>
    after(() => {
      isHidden = hidden
      document.dispatchEvent(new Event('visibilitychange'))
    })
  await turn(true) // The timer of before was a real one.
  await turn(false)
  const first = looks()
  await after(() => vi.advanceTimersByTimeAsync(EVERY))
  expect(looks()).toBe(first + 1)
  await turn(true)
  await after(() => vi.advanceTimersByTimeAsync(10 * EVERY))
  expect(looks()).toBe(first + 1)
  await turn(false)
  expect(looks()).toBe(first + 2)
  expect(page.textContent).toContain('talk.mp4')
})

test('a server that does not answer is told, and what was there stays', async () => {
  const page = await openView()
  answers.set(`GET ${paths.overview}`, { status: 503, json: { detail: 'It stops.', hint: '' } })
  await after(() => document.dispatchEvent(new Event('visibilitychange')))
  expect(page.querySelector('[role=alert]')!.textContent).toContain('It stops. What you see is old.')
  expect(page.textContent).toContain('talk.mp4')
})

test('an upload is cancelled only after a question, and the focus stays in its table', async () => {
  const page = await openView()
  await after(() => button(page, 'talk.mp4').click())
  await after(() => button(page, 'Cancel the upload').click())
  expect(page.textContent).toContain('Cancel this upload and delete the 8 MiB that arrived?')
  expect(document.activeElement!.textContent).toContain('Keep it')
  await after(() => button(page, 'Keep it').click())
  expect(document.activeElement!.textContent).toContain('Cancel the upload')
  expect(asked.some(({ method }) => method === 'DELETE')).toBe(false)

  answers.set(`DELETE ${paths.anybodys('known')}`, { status: 200 })
  answers.set(`GET ${paths.everybodysUnfinished}`, { json: { uploads: [waiting] } })
  await after(() => button(page, 'Cancel the upload').click())
  await after(() => button(page, 'Yes, delete').click())
  expect(page.querySelector('[role=status].unseen')!.textContent).toBe('The upload of talk.mp4 was cancelled.')
  expect(document.activeElement!.getAttribute('aria-labelledby')).toBe('in-flight-title')
})

test('a refusal to cancel is told with its reason', async () => {
  const page = await openView()
  answers.set(`DELETE ${paths.anybodys('known')}`, {
    status: 409,
    json: { code: 'busy', detail: 'Another request is completing this upload.', hint: 'Wait.' },
  })
  await after(() => button(page, 'talk.mp4').click())
  await after(() => button(page, 'Cancel the upload').click())
  await after(() => button(page, 'Yes, delete').click())
  expect(page.textContent).toContain(
    'The upload was not cancelled. Another request is completing this upload. Wait.',
  )
})

test('cleaning up says first what it would delete', async () => {
  const page = await openView()
  const bodies: string[] = []
  const real = fetch
  vi.stubGlobal('fetch', (address: string, init: RequestInit) => {
    if (address.endsWith('/sweep')) bodies.push(init.body as string)
    return real(address, init)
  })
  answers.set(`POST ${paths.sweep}`, { json: { count: 3, bytes: 5 * MiB } })
  await after(() => button(page, 'Clean up now').click())
  expect(page.textContent).toContain('Delete 3 items and free 5 MiB?')
  expect(bodies).toEqual(['{"dry_run":true}'])
  await after(() => button(page, 'Yes, delete').click())
  expect(bodies).toEqual(['{"dry_run":true}', '{"dry_run":false}'])
  expect(page.textContent).toContain('3 items deleted, 5 MiB freed.')

  answers.set(`POST ${paths.sweep}`, { json: { count: 0, bytes: 0 } })
  await after(() => button(page, 'Clean up now').click())
  expect(page.textContent).toContain('There is nothing to clean up.')
  expect(bodies).toHaveLength(3)
})

test('an upload of any state is found by its id', async () => {
  const page = await openView()
  const field = page.querySelector<HTMLInputElement>('input[name=id]')!
  const search = async (id: string) => {
    field.value = id
    await after(() => button(page, 'Find').click())
  }
  await search('none')
  expect(page.textContent).toContain('There is no upload with this id.')
  answers.set(`GET ${paths.anybodys('done')}`, {
    json: upload({ upload_id: 'done', filename: 'done.mp4', state: 'complete', completed_at: '2026-11-23T15:00:00Z' }),
  })
  await search(' done ')
  expect(page.querySelector('article')!.textContent).toContain('done.mp4')
  expect(page.querySelector('article')!.textContent).toContain('Complete')
  expect(page.querySelector('article')!.textContent).not.toContain('Cancel the upload')
})

test('without a clipboard, the diagnostics are shown to be copied', async () => {
  const page = await openView()
  vi.stubGlobal('navigator', { ...navigator, clipboard: undefined })
  await after(() => button(page, 'talk.mp4').click())
  await after(() => button(page, 'Copy diagnostics').click())
  expect(page.querySelector('textarea')!.value).toBe(diagnosticsOf(upload(), overview()))
})

test('the timeline of what ended without a file says when and why', async () => {
  const end = { ended_at: '2026-11-23T15:00:01Z' }
  answers.set(`GET ${paths.everybodysEnded}`, { json: { uploads: [{ ...refused, ...end }] } })
  const page = await openView()
  await after(() => button(page, 'bad.exe').click())
  const last = [...page.querySelectorAll('.timeline li')].at(-1)!
  expect(last.querySelector('time')!.getAttribute('datetime')).toBe(end.ended_at)
  expect(last.textContent).toMatch(/Ended: refused. type-refused$/)
  expect(diagnosticsOf({ ...refused, ...end }, overview())).toContain('  ended: 2026-11-23T15:00:01Z')
})

test('the diagnostics have states, times, sizes, limits and versions, and no secret', () => {
  const text = diagnosticsOf(
    upload({ failure: 'type-refused', fingerprint: 'the-fingerprint', ticket_id: 'the-ticket' }),
    overview(),
  )
  for (const part of [
    'upload: known',
    'state: receiving',
    'failure: type-refused',
    'safe: 8388608 bytes in 1 part(s)',
    'first gaps: 8388608-20971520',
    'begun: 2026-11-23T14:00:00Z',
    'last byte: 2026-11-23T14:59:48Z',
    'versions: Wherry 1.2.3, Python 3.14.0',
    'uploads.example: passes 1048576 bytes, refuses 2097152 bytes by nginx (reported by 2, not confirmed',
  ]) {
    expect(text).toContain(part)
  }
  expect(text).not.toContain('the-fingerprint')
  expect(text).not.toContain('the-ticket')
})

test('a timeline has what is recorded, in its order', () => {
  const back = upload({ queued_at: '2026-11-23T14:59:50Z' })
  expect(timelineOf(back).map(({ what }) => what)).toEqual([
    'begun',
    'admitted',
    'lastByte',
    'queued',
    'keptUntil',
  ])
})

test('the speed is that of the last seconds, and deleting does not count', () => {
  const speeds = new Speeds()
  const add = (at: number, used: number, safe: number) =>
    speeds.add({ at, overview: overview(used), uploads: [upload({ received_bytes: safe })], ended: [] })
  add(0, 0, 0)
  expect(speeds.ofAll()).toBeNull()
  expect(speeds.of('known')).toBeNull()
  add(1000, 100, 60)
  add(2000, 50, 120)
  add(4000, 250, 180)
  expect(speeds.ofAll()).toBe(100)
  expect(speeds.of('known')).toBe(45)
  add(100_000, 250, 180)
  expect(speeds.ofAll()).toBeNull()
})
