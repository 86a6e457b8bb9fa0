import { expect, test } from 'vitest'
import { ConnectionLost, Refused, TooLarge, Unauthorized } from '../core'
import { details, MiB } from './testing'
import {
  duration,
  mapSentence,
  moment,
  ordinal,
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
  [640 * 1024, '640 KB'],
  [1024 * 1024 - 1, '1 MB'],
  [8.24 * MiB, '8.2 MB'],
  [500 * MiB, '500 MB'],
  [1.5 * 1024 * MiB, '1.5 GB'],
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
])('place %d is the %s', (place, words) => expect(ordinal(place)).toBe(words))

test('who waits is told the place, that it is kept, and that nothing is to be done', () => {
  const third = details({ state: 'waiting', position: 3 })
  expect(`${stateWord(third)}. ${stateSentence(third)}`).toBe(
    '3rd in the queue. The upload starts automatically.',
  )
  expect(stateSentence(details({ state: 'waiting' }))).toMatch(/full.* starts automatically/)
})

test('who is retrying is told what is safe and when it goes on', () => {
  const now = details({ state: 'retrying', problem: 'There is no connection.', retryAfter: 4, bytesSafe: 8 * MiB })
  expect(stateSentence(now)).toBe(
    'There is no connection. 8 MB of 20 MB are safe. The upload continues automatically in 4 seconds.',
  )
})

test('a size that was refused is told with the one that goes on', () => {
  expect(refusedSentence(details())).toBeNull()
  const learned = details({ refusedSize: 5 * MiB, chunkSize: 640 * 1024 })
  expect(refusedSentence(learned)).toBe(
    'Requests of 5 MB are refused. The upload continues with 640 KB.',
  )
})

test('the map says in words what it shows', () => {
  const now = details({ chunksTotal: 32, chunksDone: 12, chunkSize: 640 * 1024, sending: [[0, 1], [2, 3]] })
  expect(mapSentence(now)).toBe('32 chunks of 640 KB: 12 safe, 2 on the way, 18 to come')
})

test('trouble says what happened, what is safe, and what to do', () => {
  const lost = new ConnectionLost('There is no answer.', { retryable: true })
  expect(trouble(lost, details({ bytesSafe: 8 * MiB }))).toEqual({
    what: 'The server cannot be reached.',
    safe: '8 MB of 20 MB are safe on the server.',
    next: 'Check your connection, then try again. The upload continues where it stopped.',
    isFinal: false,
  })
})

test('a limit that is known is named', () => {
  const large = new TooLarge('too large', { code: 'too-large', facts: { limit: 2048 * MiB } })
  expect(trouble(large, details()).what).toBe(
    'This file is too large for the server: the limit is 2 GB.',
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

test('a code that nobody has words for gives the server’s hint', () => {
  const odd = new Refused('This is odd.', { code: 'odd', hint: 'Do that.' })
  expect(trouble(odd, details())).toMatchObject({ what: 'This is odd.', next: 'Do that.' })
})

test('forbidden and logged out are told apart', () => {
  expect(trouble(new Unauthorized('x', { status: 403 }), details()).what).toMatch(/not allowed/)
  expect(trouble(new Unauthorized('x', { status: 401 }), details()).what).toMatch(/login has expired/)
})
