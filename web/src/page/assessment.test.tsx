import { expect, test, vi } from 'vitest'
import { answers, asked, assessment, choose, open } from './scene'
import type { Assessment } from './server'
import { fileOf, made } from '../core/testing/upload'
import { after } from './testing'

vi.mock('../core', async (original) => ({
  ...(await original<typeof import('../core')>()),
  createUpload: (await import('../core/testing/upload')).fakeCreateUpload,
}))

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
  expect(page.textContent).toContain('assessment is queued')

  const steps = [
    { name: 'probe', state: 'done', seconds: 0.12 } as const,
    { name: 'black', state: 'running', seconds: null } as const,
  ]
  answers.set('GET /chunked-upload/assessments/a1', { json: assessment({ state: 'running', steps }) })
  await after(() => vi.advanceTimersByTimeAsync(1000))
  expect([...page.querySelectorAll('.steps li')].map((one) => one.textContent)).toEqual([
    'Reading the filedone in 0.1 s',
    'Detecting black framesrunning',
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
  expect(page.querySelector('.verdict')!.textContent).toContain('Needs review')
  const rows = [...page.querySelectorAll('tbody tr')].map((row) =>
    [...row.children].map((cell) => cell.textContent),
  )
  expect(rows).toEqual([
    ['Warning', '0:05.00 to 0:07.00 (go there)', 'It is black.', 'VIS-BLACK'],
    ['Warning', 'whole file', 'No sound.', 'AUDIO-MISSING'],
  ])
  expect(
    [...page.querySelectorAll('figure:not(.axis)')].map((one) => [
      one.querySelector('img')!.alt,
      one.textContent,
    ]),
  ).toEqual([
    ['A picture from the video', 'Poster, at 0:02.00'],
    ['own', 'own'],
  ])
  expect(page.querySelector('.axis')!.getAttribute('aria-label')).toBe(
    'Time axis, from 0:00 to 0:20.00. 1 finding has a time; it is in the table.',
  )
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
  expect(page.textContent).toContain('Assessments are not running at the moment.')
  expect(page.textContent).toContain(problem)
  expect(page.textContent).toContain('The file is safe.')

  answers.set(path, { json: assessment({ worker: { state: 'working', problem: null } }) })
  await after(() => vi.advanceTimersByTimeAsync(1000))
  expect(page.textContent).not.toContain('Assessments are not running')
})

test('an assessment of the application’s own is named', async () => {
  const page = await open()
  await choose(page, [fileOf('talk.mp4')])
  await after(() => made[0]!.succeed({ upload_id: 'u1', assessment_id: 'job-77' }))
  expect(page.textContent).toContain('The application has received the file.')
  expect(page.querySelector('.after code')!.textContent).toBe('job-77')
})

test('where nothing follows, that is said', async () => {
  const page = await open()
  await choose(page, [fileOf('talk.mp4')])
  await after(() => made[0]!.succeed())
  expect(page.textContent).toContain('There is no assessment.')
})
