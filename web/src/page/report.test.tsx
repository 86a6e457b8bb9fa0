import { beforeEach, expect, test, vi } from 'vitest'
import { answers, asked, assessment, choose, open, type } from './scene'
import { ANYTHING } from './accepted'
import { printOnly } from './printing'
import { paths } from './server'
import type { Report, Ticket } from './server'
import { placeOf, reportLink, Session } from './session'
import { SharedReport } from './SharedReport'
import { fileOf, made } from '../core/testing/upload'
import { after, button, render } from './testing'

vi.mock('../core', async (original) => ({
  ...(await original<typeof import('../core')>()),
  createUpload: (await import('../core/testing/upload')).fakeCreateUpload,
}))

const REPORT: Report = {
  verdict: 'warn',
  policy: 'web',
  findings: [
    { code: 'VIS-BLACK', severity: 'warn', message: 'It is black.', start: 5, end: 7 },
    { code: 'INT-ERRORS', severity: 'fail', message: 'Damaged.', start: 13.5, end: null },
  ],
  artefacts: [],
  probe: { container: 'mov', duration: 20, streams: [{ type: 'video', codec: 'h264' }] },
  audio: { loudness: { integrated: -20.4, true_peak: -3 }, loudness_curve: { every: 1, values: [-30, -18] } },
  source: { filename: 'talk.mp4', size: 2048, digest: 'crc64nvme=:AAAAAAAAAAA=:' },
}

beforeEach(() => {
  answers.set(`GET ${paths.assessment('a1')}`, { json: assessment({ state: 'done', report: REPORT }) })
})

async function openReport(): Promise<HTMLElement> {
  const page = await open(false)
  await choose(page, [fileOf('talk.mp4')])
  await after(() => made[0]!.succeed({ upload_id: 'u1', assessment_id: 'a1' }))
  return page
}

test('a finding leads the player to its time', async () => {
  const page = await openReport()
  const player = page.querySelector<HTMLVideoElement>('.player video')!
  expect(player.getAttribute('src')).toBe(`http://here/api${paths.file('u1')}`)
  await after(() => button(page, '0:13.50').click())
  expect(player.currentTime).toBe(13.5)
  expect(page.querySelector('.report [role="status"]')!.textContent).toBe('Now at 0:13.50.')
  expect(page.querySelector<HTMLElement>('.axis .cursor')!.style.left).toBe('67.5%')
})

test('the axis follows the player', async () => {
  const page = await openReport()
  const player = page.querySelector<HTMLVideoElement>('.player video')!
  await after(() => {
    player.currentTime = 10
    player.dispatchEvent(new Event('timeupdate'))
  })
  expect(page.querySelector<HTMLElement>('.axis .cursor')!.style.left).toBe('50%')
})

test('what the axis shows is said in words', async () => {
  const page = await openReport()
  expect(page.querySelector('.axis')!.getAttribute('aria-label')).toBe(
    'Time axis, from 0:00 to 0:20.00. 2 findings have a time; they are in the table. ' +
      'Loudness between -30 and -18 LUFS.',
  )
  expect([...page.querySelectorAll('.facts dt')].map((one) => one.textContent)).toEqual([
    'Length',
    'Video',
    'Loudness',
    'File format',
    'Size',
  ])
})

test('a film that cannot be played is said to be so', async () => {
  const page = await openReport()
  await after(() => page.querySelector<HTMLVideoElement>('.player video')!.dispatchEvent(new Event('error')))
  expect(page.querySelector<HTMLVideoElement>('.player video')).toBeNull()
  expect(page.textContent).toContain('This browser cannot play the file.')
})

test('what is around a part is left out while it is printed', () => {
  document.body.innerHTML = '<p id="a"></p><main><p id="b"></p><div><p id="c"></p><p id="d"></p></div></main>'
  const shown = () => [...document.querySelectorAll('p:not(.not-printed)')].map(({ id }) => id)
  vi.stubGlobal('print', () => expect(shown()).toEqual(['c']))
  printOnly(document.querySelector('#c')!)
  expect(shown()).toEqual(['c'])
  window.dispatchEvent(new Event('afterprint'))
  expect(shown()).toEqual(['a', 'b', 'c', 'd'])
  document.body.innerHTML = ''
})

const LINK: Ticket = {
  ticket_id: 't1',
  state: 'valid',
  uploads: 0,
  used: 0,
  note: 'Bob',
  expires_at: '2126-11-30T15:00:00Z',
  shows: 'u1',
}

test('a report is shared only where that is allowed', async () => {
  answers.set(`GET ${paths.accepted}`, { json: ANYTHING })
  expect((await openReport()).querySelector('.share')).toBeNull()
})

test('links of this report are made, listed and revoked', async () => {
  answers.set(`GET ${paths.accepted}`, { json: { ...ANYTHING, shared_reports: true } })
  const others = [{ ...LINK, ticket_id: 't2', shows: 'u2', note: 'Eve' }]
  answers.set(`GET ${paths.tickets}`, { json: { tickets: [...others, LINK] } })
  answers.set(`POST ${paths.links('u1')}`, { json: { ticket: 'wherry_guest_1_2' } })
  answers.set(`DELETE ${paths.ticket('t1')}`, { json: {} })
  const page = await openReport()
  const share = page.querySelector<HTMLDetailsElement>('.share')!
  await after(() => {
    share.open = true
    share.dispatchEvent(new Event('toggle'))
  })
  expect(share.querySelector('[type="checkbox"]')).toBeNull()
  expect([...share.querySelectorAll('li bdi')].map((one) => one.textContent)).toEqual(['Bob'])
  await type(share.querySelector<HTMLInputElement>('[name="note"]')!, 'Carol')
  await after(() => button(share, 'Make a link').click())
  const link = new URL(share.querySelector<HTMLInputElement>('.made input')!.value)
  expect(link.search).toBe('')
  expect(Object.fromEntries(new URLSearchParams(link.hash.slice(1)))).toEqual({
    report: 'a1',
    ticket: 'wherry_guest_1_2',
  })
  await after(() => button(share, 'Revoke').click())
  expect(asked.some(({ method, path }) => method === 'DELETE' && path === paths.ticket('t1'))).toBe(true)
  expect(share.querySelector('.made')).toBeNull()
  expect(share.textContent).toContain('The link “Bob” was revoked.')
})

const openShared = () =>
  render(
    <SharedReport
      session={new Session({ api: 'http://here/api', asksForKey: true, ticket: 'wherry_guest_1_2' })}
      assessmentId="a1"
    />,
  )

test('a reader sees the report, and asks with the ticket', async () => {
  const ticket = { uploads: 0, expires_at: '2126-11-30T15:00:00Z', with_file: false }
  answers.set(`GET ${paths.accepted}`, { json: { ...ANYTHING, ticket } })
  const page = await openShared()
  expect(page.querySelector('.verdict')!.textContent).toContain('Needs review')
  expect(page.textContent).toContain('This link shows the report until 30 November 2126')
  expect(page.querySelector<HTMLVideoElement>('.player video')).toBeNull()
  expect(page.textContent).not.toContain('Download the file')
  expect(new Set(asked.map(({ authorization }) => authorization))).toEqual(
    new Set(['Bearer wherry_guest_1_2']),
  )
})

test.each([
  [403, 'ticket-expired', 'This link has expired.'],
  [403, 'ticket-revoked', 'This link was revoked.'],
  [401, 'unauthorized', 'This link shows no report.'],
  [404, 'not-found', 'This link shows no report.'],
])('a link that has ended (%d %s) says so, and is asked no more', async (status, code, words) => {
  vi.useFakeTimers()
  const json = { code, detail: 'Ended.', hint: '' }
  answers.set(`GET ${paths.assessment('a1')}`, { status, json })
  answers.set(`GET ${paths.accepted}`, { status, json })
  const page = await openShared()
  await after(() => vi.advanceTimersByTimeAsync(0))
  expect(page.textContent).toContain(words)
  const before = asked.length
  await after(() => vi.advanceTimersByTimeAsync(60_000))
  expect(asked).toHaveLength(before)
})

test('the address of a shared report has the ticket where no server sees it', () => {
  const link = reportLink('https://up.example/page/?a=1#old', 'wherry_guest_1_2', 'a1')
  expect(link).toBe('https://up.example/page/?a=1#report=a1&ticket=wherry_guest_1_2')
  const document = { baseURI: link, location: new URL(link), querySelector: () => null }
  expect(placeOf(document as unknown as Document)).toMatchObject({
    api: 'https://up.example/page/api',
    ticket: 'wherry_guest_1_2',
    shown: 'a1',
  })
})
