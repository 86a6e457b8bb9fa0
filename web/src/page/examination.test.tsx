import { afterEach, expect, test, vi } from 'vitest'
import { examine } from './examination'
import { PathReportView } from './PathReportView'
import { paths } from './server'
import type { Examined, MadeRequest, PathReport, WantedRequest } from './server'
import { Session } from './session'
import { MiB } from '../core/testing/upload'
import { after, button, cleanUp, render } from './testing'

const API = 'http://here/api'
const DONE: Examined = { next: null, report: null, letter: 'A letter' }

afterEach(async () => {
  vi.unstubAllGlobals()
  await cleanUp()
})

const wanted = (size: number, more: Partial<WantedRequest> = {}): WantedRequest => ({
  size,
  content_type: 'application/octet-stream',
  drip: 0,
  seconds: 5,
  ...more,
})

type Probe = (size: number, init: RequestInit, address: string) => Promise<Response> | Response

/** A server that asks for these requests, one after the other, and a probe. */
function serve(asks: WantedRequest[], probe: Probe): { told: () => MadeRequest[] } {
  let told: MadeRequest[] = []
  vi.stubGlobal('fetch', async (address: string, init: RequestInit) => {
    if (!address.endsWith(paths.examination)) {
      return probe((init.body as Blob).size, init, address)
    }
    told = (JSON.parse(init.body as string) as { requests: MadeRequest[] }).requests
    const next = asks[told.length] ?? null
    return Response.json(next === null ? DONE : { ...DONE, next })
  })
  return { told: () => told }
}

const session = () => new Session({ api: API, asksForKey: false, ticket: null })
const run = (signal = new AbortController().signal) => examine(session(), signal, () => undefined)

const probed = (size: number) =>
  Response.json({
    bytes: size,
    first_byte: 0,
    last_byte: 0.5,
    host: 'here',
    headers: { host: 'here', cookie: null },
  })

test('what the server asks for is sent, and what the probe answers is told', async () => {
  const asked: string[] = []
  const { told } = serve([wanted(100_000), wanted(1, { drip: 1 })], (size, init, address) => {
    asked.push(`${address} ${(init.headers as Record<string, string>)['Content-Type']} ${size}`)
    return probed(size)
  })
  expect(await run()).toEqual(DONE)
  expect(asked).toEqual([
    `${API}/chunked-upload/probe application/octet-stream 100000`,
    `${API}/chunked-upload/probe?drip=1 application/octet-stream 1`,
  ])
  const [first] = told()
  expect(first).toMatchObject({ size: 100_000, end: 'answer', status: 200, page: '' })
  expect(first!.arrived).toEqual({
    bytes: 100_000,
    first_byte: 0,
    last_byte: 0.5,
    host: 'here',
    headers: ['host', 'cookie'],
  })
})

test('of a page, the beginning is told in base64, and headers are cut', async () => {
  const page = '<script>alert(1)</script>' + 'x'.repeat(5000)
  const { told } = serve([wanted(10)], () => {
    const headers = { Server: 'nginx', 'X-Long': 'y'.repeat(300), [`x-${'n'.repeat(70)}`]: 'z' }
    return new Response(page, { status: 413, headers })
  })
  await run()
  const [made] = told()
  expect(atob(made!.page!)).toBe(page.slice(0, 2048))
  const headers = Object.entries(made!.headers!)
  expect(headers.find(([name]) => name.toLowerCase() === 'x-long')![1]).toHaveLength(200)
  expect(headers.every(([name]) => name.length <= 64)).toBe(true)
  expect(made).toMatchObject({ status: 413, arrived: null })
})

test('a page without an end is not read to its end', async () => {
  const { told } = serve([wanted(10)], () => {
    const endless = new ReadableStream({
      pull: (controller) => controller.enqueue(new Uint8Array(16_384).fill(120)),
    })
    return new Response(endless, { status: 413 })
  })
  await run()
  expect(atob(told()[0]!.page!)).toHaveLength(2048)
})

test('a broken connection and one without an answer are told apart', async () => {
  const { told } = serve([wanted(1), wanted(2, { seconds: 0.05 })], (size, init) => {
    if (size === 1) throw new TypeError('Failed to fetch')
    return new Promise((_, reject) => {
      init.signal!.addEventListener('abort', () => reject(new DOMException('', 'AbortError')))
    })
  })
  await run()
  expect(told().map(({ end }) => end)).toEqual(['reset', 'timeout'])
})

test('it stops when it is told to, and sends nothing more', async () => {
  const stopping = new AbortController()
  let sent = 0
  serve([wanted(1), wanted(2), wanted(3)], (size) => {
    sent += 1
    if (size === 2) stopping.abort()
    return probed(size)
  })
  await expect(run(stopping.signal)).rejects.toThrow()
  expect(sent).toBe(2)
})

test('no server can make it send more than 32 MiB, or go on for ever', async () => {
  let sent = 0
  const asks = Array.from({ length: 9 }, () => wanted(10 * MiB))
  serve(asks, (size) => {
    sent += size
    return probed(size)
  })
  await expect(run()).rejects.toThrow(RangeError)
  expect(sent).toBe(30 * MiB)
  serve(Array.from({ length: 99 }, () => wanted(1)), probed)
  await expect(run()).rejects.toThrow(RangeError)
})

const REPORT: PathReport = {
  verdict: 'narrow',
  limit: { passes: 4_500_000, refuses: 4_500_001, sent: 4_500_000 },
  proxies: [{ proxy: 'nginx', version: '<b>1</b>', evidence: ['Server: <i>nginx</i>'] }],
  buffers: { request: null, answer: true },
  http: { protocol: 'h2' },
  clock: { skew: -301 },
  findings: [{ code: 'narrow', level: 'problem', text: 'A <img src=x> in `code` and **bold**.' }],
  remedies: [],
  spent: { bytes: 13 * MiB, requests: 12, seconds: 4.4 },
}

test('the report says what was measured, and what was not', async () => {
  const found = { next: null, report: REPORT, letter: '# Letter' }
  const page = await render(<PathReportView found={found} again={() => {}} announce={() => {}} />)
  const facts = Object.fromEntries(
    [...page.querySelectorAll('dl > div')].map((row) => [
      row.querySelector('dt')!.textContent,
      row.querySelector('dd')!.textContent,
    ]),
  )
  expect(facts).toEqual({
    'Largest body that passed': '4,500,000 bytes',
    'Smallest body that was refused': '4,500,001 bytes',
    'On the way': 'nginx <b>1</b> (Server: <i>nginx</i>)',
    'HTTP version': 'HTTP/2',
    'Bodies are collected on the way': 'not known',
    'Answers are collected on the way': 'yes',
    'Server’s clock': '301 seconds behind the clock of this browser',
    'Cost of the check': '13 MiB in 12 requests, 4 s',
  })
  expect(page.querySelector('img, b, i')).toBeNull()
  expect(page.querySelector('.found code')!.textContent).toBe('code')
  expect(page.querySelector('.found strong')!.textContent).toBe('bold')
})

test('where a browser does not allow copying, it says what to do', async () => {
  vi.stubGlobal('navigator', { ...navigator, clipboard: undefined })
  const found = { next: null, report: REPORT, letter: '# Letter' }
  const page = await render(<PathReportView found={found} again={() => {}} announce={() => {}} />)
  await after(() => button(page, 'Copy the letter').click())
  expect(page.textContent).toContain('Save the letter, or copy its text below.')
  expect(page.querySelector('pre')!.textContent).toBe('# Letter')
})
