import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { ConnectionLost, Refused, Unauthorized } from '../core'
import { admit, App } from './App'
import { paths } from './server'
import type { Assessment, KnownUpload } from './server'
import { Session } from './session'
import type { FakeUpload } from './testing'
import { after, button, cleanUp, fileOf, made, MiB, render } from './testing'

vi.mock('../core', async (original) => ({
  ...(await original<typeof import('../core')>()),
  createUpload: (await import('./testing')).fakeCreateUpload,
}))

type Answer = { status?: number; json?: unknown; key?: string }

const answers = new Map<string, Answer>()
const asked: { method: string; path: string; authorization: string | undefined }[] = []

beforeEach(() => {
  answers.clear()
  asked.length = 0
  list({ json: { uploads: [] } })
  vi.stubGlobal('fetch', async (address: string, init: RequestInit) => {
    const path = address.replace('http://here/api', '')
    const authorization = (init.headers as Record<string, string>).Authorization
    asked.push({ method: init.method!, path, authorization })
    const found = answers.get(`${init.method} ${path}`) ?? { status: 404 }
    if (found.key !== undefined && authorization !== `Bearer ${found.key}`) {
      const problem = { code: 'unauthorized', detail: 'Nobody we know.', hint: 'Log in.' }
      return new Response(JSON.stringify(problem), { status: 401 })
    }
    return new Response(JSON.stringify(found.json ?? {}), { status: found.status ?? 200 })
  })
})

afterEach(async () => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
  sessionStorage.clear()
  await cleanUp()
})

/** What the server lists, as one page. */
function list({ json, ...more }: { json?: { uploads: KnownUpload[] } } & Omit<Answer, 'json'>): void {
  for (const path of [paths.unfinished, paths.newestFinished]) {
    answers.set(`GET ${path}`, json ? { json: { ...json, next: null }, ...more } : more)
  }
}

const open = (asksForKey = true) =>
  render(<App session={new Session({ api: 'http://here/api', asksForKey })} />)

async function choose(page: HTMLElement, files: File[], label = 'Files'): Promise<void> {
  const input = page.querySelector<HTMLInputElement>(`input[aria-label="${label}"]`)!
  Object.defineProperty(input, 'files', { value: files, configurable: true })
  await after(() => input.dispatchEvent(new Event('change', { bubbles: true })))
}

const cards = (page: HTMLElement) => [...page.querySelectorAll<HTMLElement>('article')]

function known(more: Partial<KnownUpload> = {}): KnownUpload {
  return {
    upload_id: 'known',
    state: 'receiving',
    filename: 'talk.mp4',
    size: 20 * MiB,
    received_bytes: 8 * MiB,
    received: [[0, 8 * MiB]],
    assessment_id: null,
    expires_at: '2026-11-24T15:00:00Z',
    deleted_at: null,
    ...more,
  }
}

test('a chosen file goes up at once, to where the page says', async () => {
  const page = await open()
  await choose(page, [fileOf('talk.mp4')])
  expect(made[0]!.options.endpoint).toBe('http://here/api')
  await after(() =>
    made[0]!.report({ state: 'sending', bytesSafe: 5 * MiB, speed: 2 * MiB, secondsLeft: 7.4 }, 41.7),
  )
  const [card] = cards(page)
  expect(card!.textContent).toContain('41 %')
  expect(card!.textContent).toContain('5 MB of 20 MB safe · 2 MB a second · 7 seconds left')
  expect(card!.querySelector('progress')!.value).toBe(41)
})

test('two files go up at a time, the next when one has arrived', async () => {
  const page = await open()
  await choose(page, ['a.mp4', 'b.mp4', 'c.mp4'].map((name) => fileOf(name)))
  expect(made.map((one) => one.file.name)).toEqual(['a.mp4', 'b.mp4'])
  expect(cards(page)[2]!.textContent).toContain('Next')
  await after(() => made[0]!.succeed())
  expect(made.map((one) => one.file.name)).toEqual(['a.mp4', 'b.mp4', 'c.mp4'])
})

test('a paused file gives its place to the next', () => {
  expect(admit(['sending', 'paused', 'queued', 'queued'])).toEqual([true, true, true, false])
  expect(admit(['waiting', 'retrying', 'queued'])).toEqual([true, true, false])
  expect(admit(['done', 'failed', 'cancelled', 'queued'])).toEqual([true, true, true, true])
})

test('the map draws what is safe and what is on the way, and says it', async () => {
  const page = await open()
  await choose(page, [fileOf('talk.mp4')])
  await after(() =>
    made[0]!.report({
      state: 'sending',
      chunksDone: 1,
      safe: [[0, 5 * MiB]],
      sending: [[5 * MiB, 10 * MiB]],
    }),
  )
  const map = page.querySelector('svg.map')!
  expect(map.getAttribute('aria-label')).toBe('4 chunks of 5 MB: 1 safe, 1 on the way, 2 to come')
  const places = (kind: string) =>
    [...map.querySelectorAll(`rect.${kind}`)].map((one) => [
      one.getAttribute('x'),
      one.getAttribute('width'),
    ])
  expect(places('safe')).toEqual([['0%', '25%']])
  expect(places('sending')).toEqual([['25%', '25%']])
  expect(map.querySelectorAll('line')).toHaveLength(3)
})

test('who waits in line sees the place, and may leave it', async () => {
  const page = await open()
  await choose(page, [fileOf('talk.mp4')])
  await after(() => made[0]!.report({ state: 'waiting', position: 3 }))
  expect(cards(page)[0]!.textContent).toContain('3rd in lineYour place is kept')
  expect(page.querySelector('[role=status][aria-live]')!.textContent).toContain('3rd in line')
  await after(() => button(page, 'Leave the line').click())
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
  const question = 'Cancel the upload and delete the 5 MB that arrived? This cannot be undone.'
  expect(page.querySelector('article [role=alert]')!.textContent).toBe(question)
  await after(() => button(page, keep).click())
  expect(document.activeElement).toBe(button(page, end))
  expect(made[0]!.calls).not.toContain('cancel')
  await after(() => button(page, end).click())
  await after(() => button(page, 'Yes, delete it').click())
  expect(made[0]!.calls).toContain('cancel')
})

test('an upload that finishes while it is asked for its deletion is kept', async () => {
  const page = await open()
  await choose(page, [fileOf('talk.mp4')])
  await after(() => made[0]!.report({ state: 'sending', bytesSafe: 5 * MiB }))
  await after(() => button(page, 'Cancel').click())
  await after(() => made[0]!.succeed())
  expect(() => button(page, 'Yes, delete it')).toThrow()
  expect(made[0]!.calls).not.toContain('cancel')
})

test('a file that would only be refused again is not tried again', async () => {
  const page = await open()
  await choose(page, [fileOf('talk.zip')])
  await after(() => made[0]!.fail(new Refused('no', { code: 'type-refused' })))
  expect(() => button(page, 'Try again')).toThrow()
  await after(() => button(page, 'Take off the list').click())
  expect(cards(page)).toHaveLength(0)
})

test('a size that was refused is told in a quiet line', async () => {
  const page = await open()
  await choose(page, [fileOf('talk.mp4')])
  await after(() =>
    made[0]!.report({ state: 'sending', refusedSize: 5 * MiB, chunkSize: 640 * 1024 }),
  )
  expect(page.querySelector('.quiet')!.textContent).toBe(
    'Something on the way refuses requests of 5 MB; going on with 640 KB.',
  )
})

test('a server with keys is given one, and every request carries it', async () => {
  list({ json: { uploads: [known()] }, key: 'k1' })
  const page = await open()
  const field = page.querySelector<HTMLInputElement>('#key')!
  expect(field.type).toBe('password')
  await type(field, 'k1')
  await after(() => button(page, 'Use this key').click())
  expect(page.querySelector('#key')).toBeNull()
  expect(page.textContent).toContain('Not finished yet')
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
  expect(page.querySelector('form')!.textContent).toContain('This key is not known here')
})

test('a login that ends in mid-upload is asked for again, and the upload goes on', async () => {
  const page = await open()
  await choose(page, [fileOf('talk.mp4'), fileOf('other.mp4')])
  await after(() => made[0]!.report({ state: 'sending', bytesSafe: 5 * MiB }))
  await after(() => made[0]!.fail(new Unauthorized('x', { status: 401, code: 'unauthorized' })))
  expect(page.querySelector('#key')).not.toBeNull()
  expect(cards(page)[0]!.textContent).toContain('5 MB of 20 MB are safe')
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
  await after(() => button(page, 'Go on').click())
  expect(page.textContent).toContain('Not finished yet')
})

test('an unfinished upload waits for its file, and goes on with it', async () => {
  list({ json: { uploads: [known()] } })
  const page = await open()
  expect(cards(page)[0]!.textContent).toContain('8 MB of 20 MB safe')
  await after(() => button(page, 'Choose the file again to go on').click())
  await choose(page, [fileOf('talk.mp4')], 'The same file again')
  made[0]!.uploadId = 'known'
  await after(() => made[0]!.report({ state: 'sending', bytesSafe: 8 * MiB }))
  expect(cards(page)).toHaveLength(1)
  expect(cards(page)[0]!.textContent).toContain('Going on where it was: 8 MB were safe already.')
})

test('another file than the unfinished one is told so, and is an upload of its own', async () => {
  list({ json: { uploads: [known()] } })
  const page = await open()
  await after(() => button(page, 'Choose the file again to go on').click())
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
  await after(() => button(page, 'Delete it').click())
  expect(page.textContent).toContain('This cannot be undone.')
  await after(() => button(page, 'Keep it').click())
  await after(() => button(page, 'Delete it').click())
  expect(asked.map((one) => one.method)).not.toContain('DELETE')
  await after(() => button(page, 'Yes, delete it').click())
  expect(asked.map((one) => `${one.method} ${one.path}`)).toContain('DELETE /chunked-upload/known')
  expect(page.textContent).not.toContain('Not finished yet')
})

test('an upload of another tab is shown as under way, and not offered for deletion', async () => {
  const names = ['wherry http://here/api j1-film']
  const query = async () => ({ held: names.map((name) => ({ name })) })
  vi.stubGlobal('navigator', { ...navigator, locks: { query } })
  list({ json: { uploads: [known({ fingerprint: 'j1-film' })] } })
  const page = await open()
  expect(page.textContent).toContain('Another tab or program is sending these files.')
  expect(page.textContent).not.toContain('Not finished yet')
  expect(page.textContent).not.toContain('Delete it')
})

test('an upload that grows between two looks is under way elsewhere, without any locks', async () => {
  vi.stubGlobal('navigator', { ...navigator, locks: undefined })
  list({ json: { uploads: [known()] } })
  const page = await open()
  expect(page.textContent).toContain('Not finished yet')
  list({ json: { uploads: [known({ received_bytes: 9 * MiB })] } })
  await after(() => window.dispatchEvent(new Event('focus')))
  expect(page.textContent).toContain('On their way elsewhere')
  expect(page.textContent).not.toContain('Delete it')
})

async function drop(items: object[]): Promise<void> {
  const event = new Event('drop', { cancelable: true })
  Object.assign(event, { dataTransfer: { types: ['Files'], items } })
  await after(() => window.dispatchEvent(event))
}

const dropped = (name: string, isDirectory: boolean) => ({
  kind: 'file',
  getAsFile: () => fileOf(name),
  webkitGetAsEntry: () => ({ name, isDirectory }),
})

test('a folder that is dropped is left out with a sentence, and the file beside it is taken', async () => {
  const page = await open()
  await drop([dropped('holiday', true), dropped('talk.mp4', false)])
  expect(page.textContent).toContain('The folder “holiday” was left out: choose the files in it.')
  expect(cards(page).map((card) => card.getAttribute('aria-label'))).toEqual(['talk.mp4'])
  await drop([dropped('a', true), dropped('b', true)])
  expect(page.textContent).toContain('2 folders were left out: choose the files in them.')
  await drop([dropped('cat.mp4', false)])
  expect(page.textContent).not.toContain('left out')
  await drop([])
  expect(page.textContent).toContain('There was no file in what was dropped.')
})

function assessment(more: Partial<Assessment>): Assessment {
  return {
    assessment_id: 'a1',
    upload_id: 'u1',
    state: 'queued',
    steps: [],
    report: null,
    problem: null,
    ...more,
  }
}

test('the assessment is followed to its verdict, findings and pictures', async () => {
  vi.useFakeTimers()
  vi.stubGlobal('URL', Object.assign(URL, { createObjectURL: () => 'blob:1' }))
  answers.set('GET /chunked-upload/assessments/a1', { json: assessment({}) })
  for (const name of ['poster.jpg', 'waveform.png', 'own.png']) {
    answers.set(`GET /chunked-upload/assessments/a1/pictures/${name}`, {})
  }
  const page = await open()
  await choose(page, [fileOf('talk.mp4')])
  await after(() => made[0]!.succeed({ upload_id: 'u1', assessment_id: 'a1' }))
  expect(page.textContent).toContain('waiting for its turn')

  const steps = [
    { name: 'probe', state: 'done', seconds: 0.12 } as const,
    { name: 'black', state: 'running', seconds: null } as const,
  ]
  answers.set('GET /chunked-upload/assessments/a1', { json: assessment({ state: 'running', steps }) })
  await after(() => vi.advanceTimersByTimeAsync(1000))
  expect([...page.querySelectorAll('.steps li')].map((one) => one.textContent)).toEqual([
    'Reading the filedone in 0.1 s',
    'Looking for blackrunning',
  ])

  const report: Assessment['report'] = {
    verdict: 'warn',
    policy: 'web',
    findings: [
      { code: 'VIS-BLACK', severity: 'warn', message: 'It is black.', start: 5, end: 7 },
      { code: 'AUDIO-MISSING', severity: 'warn', message: 'No sound.', start: null, end: null },
    ],
    artefacts: [
      { name: 'own.png', kind: 'own', content_type: 'image/png' },
      { name: 'waveform.png', kind: 'waveform', content_type: 'image/png' },
      { name: 'poster.jpg', kind: 'poster', content_type: 'image/jpeg', time: 2 },
      { name: 'storyboard.vtt', kind: 'storyboard', content_type: 'text/vtt' },
    ],
    probe: {
      duration: 20,
      streams: [{ type: 'video', codec: 'h264', width: 1280, height: 720, frame_rate: 25 }],
    },
  }
  answers.set('GET /chunked-upload/assessments/a1', { json: assessment({ state: 'done', steps, report }) })
  await after(() => vi.advanceTimersByTimeAsync(1000))
  expect(page.querySelector('.verdict')!.textContent).toContain('Look at it')
  const rows = [...page.querySelectorAll('tbody tr')].map((row) =>
    [...row.children].map((cell) => cell.textContent),
  )
  expect(rows).toEqual([
    ['Warning', '0:05.00 to 0:07.00', 'It is black.', 'VIS-BLACK'],
    ['Warning', 'whole file', 'No sound.', 'AUDIO-MISSING'],
  ])
  expect(
    [...page.querySelectorAll('figure')].map((one) => [
      one.querySelector('img')!.alt,
      one.textContent,
    ]),
  ).toEqual([
    ['A picture from the video', 'Poster, at 0:02.00'],
    ['How loud the sound is, from beginning to end', 'Waveform'],
    ['own', 'own'],
  ])
  expect(page.querySelector('.facts')!.textContent).toContain('h264, 1280 × 720, 25 frames a second')
  const before = asked.length
  await after(() => vi.advanceTimersByTimeAsync(5000))
  expect(asked).toHaveLength(before)
})

test('that nothing is assessed is said with its cause, until it is over', async () => {
  vi.useFakeTimers()
  const problem = 'The worker cannot start: no such file.'
  const path = 'GET /chunked-upload/assessments/a1'
  answers.set(path, { json: assessment({ worker: { state: 'failing', problem } }) })
  const page = await open()
  await choose(page, [fileOf('talk.mp4')])
  await after(() => made[0]!.succeed({ upload_id: 'u1', assessment_id: 'a1' }))
  expect(page.textContent).toContain('Nothing is assessed at the moment.')
  expect(page.textContent).toContain(problem)
  expect(page.textContent).toContain('The file is safe and whole.')

  answers.set(path, { json: assessment({ worker: { state: 'working', problem: null } }) })
  await after(() => vi.advanceTimersByTimeAsync(1000))
  expect(page.textContent).not.toContain('Nothing is assessed')
})

test('an assessment of the application’s own is named', async () => {
  const page = await open()
  await choose(page, [fileOf('talk.mp4')])
  await after(() => made[0]!.succeed({ upload_id: 'u1', assessment_id: 'job-77' }))
  expect(page.textContent).toContain('The application has taken the file over.')
  expect(page.querySelector('.after code')!.textContent).toBe('job-77')
})

test('where nothing follows, that is said', async () => {
  const page = await open()
  await choose(page, [fileOf('talk.mp4')])
  await after(() => made[0]!.succeed())
  expect(page.textContent).toContain('Nothing more is done with it here.')
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
  expect(page.textContent).toContain('Let go')
  await drag('dragover')
  await drag('drop')
  expect(made.map((one) => one.file.name)).toEqual(['d.mp4'])
  expect(page.textContent).not.toContain('Let go')
})

test('a server that cannot be reached is told of', async () => {
  vi.stubGlobal('fetch', () => Promise.reject(new TypeError('no network')))
  const page = await open()
  expect(page.querySelector('[role=alert]')!.textContent).toContain('The server cannot be reached.')
})

async function type(field: HTMLInputElement, words: string): Promise<void> {
  const setter = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value')!.set!
  await after(() => {
    setter.call(field, words)
    field.dispatchEvent(new Event('input', { bubbles: true }))
  })
}

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
