import { expect, test } from 'vitest'
import { ConnectionLost, Refused, TooLarge, Unauthorized } from '../core'
import { details, MiB } from '../core/testing/upload'
import { t } from './language'
import {
  duration,
  mapSentence,
  moment,
  refusedSentence,
  size,
  stateSentence,
  stateWord,
  trouble,
} from './words'

test.each([
  [0, '0 bytes'],
  [1, '1 byte'],
  [1023, '1023 bytes'],
  [640 * 1024, '640 KiB'],
  [1024 * 1024 - 1, '1 MiB'],
  [8.24 * MiB, '8.2 MiB'],
  [500 * MiB, '500 MiB'],
  [1.5 * 1024 * MiB, '1.5 GiB'],
])('%d bytes are %s', (bytes, words) => expect(size(bytes)).toBe(words))

test.each([
  [0.4, 'a few seconds'],
  [40, '40 seconds'],
  [89.7, '90 seconds'],
  [120, '2 minutes'],
  [3600, '1 hour'],
  [7800, '2 hours 10 minutes'],
])('%d seconds are %s', (seconds, words) => expect(duration(seconds)).toBe(words))

test.each([
  [5, '0:05.00'],
  [59.999, '1:00.00'],
  [3723.5, '1:02:03.50'],
])('%d seconds into a video are %s', (seconds, words) => expect(moment(seconds)).toBe(words))

test.each([
  [1, '1st'],
  [2, '2nd'],
  [3, '3rd'],
  [4, '4th'],
  [11, '11th'],
  [12, '12th'],
  [13, '13th'],
  [21, '21st'],
  [112, '112th'],
])('position %d is the %s', (position, words) => expect(t.state.queued(position)).toBe(`${words} in the queue`))

test('an upload in the queue shows its position, and that it starts automatically', () => {
  const third = details({ state: 'waiting', position: 3 })
  expect(`${stateWord(third)}. ${stateSentence(third)}`).toBe(
    '3rd in the queue. The upload starts automatically.',
  )
  expect(stateSentence(details({ state: 'waiting' }))).toMatch(/full.* starts automatically/)
})

test('an upload that is retried shows what is safe and when it continues', () => {
  const now = details({ state: 'retrying', problem: 'There is no connection.', retryAfter: 4, bytesSafe: 8 * MiB })
  expect(stateSentence(now)).toBe(
    'There is no connection. 8 MiB of 20 MiB are safe. The upload continues automatically in 4 seconds.',
  )
})

test('a refused size is shown with the size that follows', () => {
  expect(refusedSentence(details())).toBeNull()
  const learned = details({ refusedSize: 5 * MiB, chunkSize: 640 * 1024 })
  expect(refusedSentence(learned)).toBe(
    'Requests of 5 MiB are refused. The upload continues with 640 KiB.',
  )
})

test('the map says in words what it shows', () => {
  const now = details({ chunksTotal: 32, chunksDone: 12, chunkSize: 640 * 1024, sending: [[0, 1], [2, 3]] })
  expect(mapSentence(now)).toBe('32 chunks of 640 KiB: 12 safe, 2 on the way, 18 to come')
})

test('trouble says what happened, what is safe, and what to do', () => {
  const lost = new ConnectionLost('There is no answer.', { retryable: true })
  expect(trouble(lost, details({ bytesSafe: 8 * MiB }))).toEqual({
    what: 'The server cannot be reached.',
    safe: '8 MiB of 20 MiB are safe on the server.',
    next: 'Check your connection, then try again. The upload continues where it stopped.',
    isFinal: false,
  })
})

test('a limit that is known is named', () => {
  const large = new TooLarge('too large', { code: 'too-large', facts: { limit: 2048 * MiB } })
  expect(trouble(large, details()).what).toBe(
    'This file is too large for the server: the limit is 2 GiB.',
  )
  const narrow = new TooLarge('too large')
  expect(trouble(narrow, details()).what).toMatch(/smallest requests are refused/)
})

test('a refusal that deleted the bytes does not call them safe', () => {
  const refused = new Refused('no', {
    code: 'type-refused',
    facts: { found: 'text/plain', allowed: ['video/*'] },
  })
  const said = trouble(refused, details({ bytesSafe: 5 * MiB }))
  expect(said.what).toContain('text/plain')
  expect(said.safe).toBe('The server has kept nothing of this file.')
  expect(said.next).toContain('video/*')
  expect(said.isFinal).toBe(true)
})

test('an unknown code shows the server’s hint', () => {
  const odd = new Refused('This is odd.', { code: 'odd', hint: 'Do that.' })
  expect(trouble(odd, details())).toMatchObject({ what: 'This is odd.', next: 'Do that.' })
})

test('forbidden and logged out are told apart', () => {
  expect(trouble(new Unauthorized('x', { status: 403 }), details()).what).toMatch(/not allowed/)
  expect(trouble(new Unauthorized('x', { status: 401 }), details()).what).toMatch(/login has expired/)
})
