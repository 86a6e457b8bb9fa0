import { expect, test, vi } from 'vitest'
import { answers, asked, choose, list, open } from './scene'
import { Refused } from '../core'
import { fileOf, made, MiB } from '../core/testing/upload'
import { ANYTHING } from './accepted'
import { paths } from './server'
import type { Ticket } from './server'
import { guestLink, placeOf } from './session'
import { after, button } from './testing'

vi.mock('../core', async (original) => ({
  ...(await original<typeof import('../core')>()),
  createUpload: (await import('../core/testing/upload')).fakeCreateUpload,
}))

const IN_A_WEEK = '2126-11-30T15:00:00Z'
const TICKET = 'wherry_guest_1_2'

function allow(more: object): void {
  answers.set(`GET ${paths.accepted}`, { json: { ...ANYTHING, ...more } })
}

const openAsGuest = () => open(true, TICKET)

test('a guest is told what the link allows, and every request carries its ticket', async () => {
  allow({ max_size: 40 * MiB, ticket: { uploads: 2, expires_at: IN_A_WEEK } })
  const page = await openAsGuest()
  expect(page.textContent).toContain('You can upload 2 files with this link, until 30 November 2126')
  expect(page.textContent).toContain('At most 40 MiB for each file.')
  await choose(page, [fileOf('talk.mp4')])
  const headers = made[0]!.options.headers as () => Record<string, string>
  expect(headers()).toEqual({ Authorization: `Bearer ${TICKET}` })
})

test('a guest’s page asks for nothing that guests may not see', async () => {
  allow({ receipts: true, ticket: { uploads: 1, expires_at: IN_A_WEEK } })
  const page = await openAsGuest()
  await choose(page, [fileOf('talk.mp4')])
  await after(() => made[0]!.succeed({ upload_id: 'u1', assessment_id: 'a1' }))
  await after(() => window.dispatchEvent(new Event('focus')))
  expect(new Set(asked.map(({ path }) => path))).toEqual(new Set([paths.accepted]))
  expect(page.querySelector('.check')).toBeNull()
  expect(page.textContent).not.toContain('Forget the key')
  expect(page.textContent).not.toContain('Download the file')
  const receipt = [...page.querySelectorAll('a')].find((a) => a.textContent === 'Save the receipt')!
  expect(receipt.getAttribute('href')).toBe(`http://here/api${paths.receipt('u1')}`)
})

test('after each file, a guest is told anew how many more may come', async () => {
  allow({ ticket: { uploads: 1, expires_at: IN_A_WEEK } })
  const page = await openAsGuest()
  await choose(page, [fileOf('talk.mp4')])
  allow({ ticket: { uploads: 0, expires_at: IN_A_WEEK } })
  await after(() => made[0]!.succeed())
  expect(page.textContent).toContain('All files that this link allows have arrived')
})

test('a link that has ended says so, and whom to ask', async () => {
  allow({ ticket: { uploads: 1, expires_at: '2020-01-01T00:00:00Z' } })
  expect((await openAsGuest()).textContent).toContain('This link has expired.')
})

test('a link that was revoked says so before a file is chosen', async () => {
  const problem = { code: 'ticket-revoked', detail: 'This guest ticket was revoked.' }
  answers.set(`GET ${paths.accepted}`, { status: 403, json: problem })
  const page = await openAsGuest()
  expect(page.querySelector('[role=alert]')!.textContent).toContain('This link was revoked.')
})

test('a file too many is refused in words for a guest', async () => {
  allow({ ticket: { uploads: 0, expires_at: IN_A_WEEK } })
  const page = await openAsGuest()
  await choose(page, [fileOf('talk.mp4')])
  const problem = { code: 'ticket-used-up', detail: 'This guest ticket allows no more uploads.' }
  await after(() => made[0]!.fail(new Refused('no', { status: 403, ...problem })))
  expect(page.textContent).toContain('This link allows no more files.')
})

test('a link that is not valid is told so, and the owner’s own key is kept', async () => {
  sessionStorage.setItem('wherry-key', 'k1')
  answers.set(`GET ${paths.accepted}`, { key: 'another' })
  const page = await openAsGuest()
  expect(page.textContent).toContain('This link is not valid')
  expect(page.querySelector('#key')).toBeNull()
  expect(sessionStorage.getItem('wherry-key')).toBe('k1')
})

test('a link carries its ticket where no server sees it, and the page finds it there', () => {
  const link = guestLink('https://example.org/upload/?a=1#old', 'wherry_guest_1&2')
  expect(new URL(link).search).toBe('?a=1')
  location.hash = new URL(link).hash
  expect(placeOf(document).ticket).toBe('wherry_guest_1&2')
  location.hash = ''
  expect(placeOf(document).ticket).toBeNull()
})

function ticket(more: Partial<Ticket>): Ticket {
  return {
    ticket_id: 't1',
    state: 'valid',
    uploads: 3,
    used: 1,
    note: 'films of Bob',
    expires_at: IN_A_WEEK,
    ...more,
  }
}

test('an owner makes a link, which is shown, and revokes it', async () => {
  allow({ guests: true })
  list({ json: { uploads: [] } })
  answers.set(`GET ${paths.tickets}`, { json: { tickets: [] } })
  answers.set(`POST ${paths.newTicket}`, { status: 201, json: { ticket: TICKET } })
  const page = await open()
  answers.set(`GET ${paths.tickets}`, {
    json: { tickets: [ticket({}), ticket({ ticket_id: 't0', state: 'revoked', note: 'old' })] },
  })
  await after(() => button(page, 'Make a link').click())
  const made = page.querySelector<HTMLInputElement>('input[readonly]')!
  expect(new URL(made.value).hash).toBe(`#ticket=${TICKET}`)
  expect(page.querySelector('.tickets')!.textContent).toContain('films of Bob1 of 3 files used')
  expect(page.querySelector('.tickets')!.textContent).not.toContain('old')
  answers.set(`DELETE ${paths.ticket('t1')}`, { status: 200 })
  answers.set(`GET ${paths.tickets}`, { json: { tickets: [ticket({ state: 'revoked' })] } })
  await after(() => button(page, 'Revoke').click())
  expect(page.querySelector('.tickets')!.textContent).toBe('')
  expect(page.querySelector('[role=status]')!.textContent).toContain('“films of Bob” was revoked')
})

test('where guests are off, no links are offered', async () => {
  expect((await open()).querySelector('.guests')).toBeNull()
})
