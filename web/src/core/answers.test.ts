import { describe, expect, test } from 'vitest'
import { parseError, parseMissing, parseUpload } from './answers'
import { page, problem, reply } from './testing/fake'

describe('an error', () => {
  test.each([
    [page(401), 'Unauthorized', false],
    [page(403), 'Unauthorized', false],
    [page(404), 'Refused', false],
    [page(413), 'TooLarge', false],
    [page(429), 'Refused', true],
    [page(429, { 'retry-after': '5' }), 'NoRoom', true],
    [page(500), 'ServerFailed', true],
    [page(502), 'ServerFailed', true],
    [page(503, { 'retry-after': '5' }), 'NoRoom', true],
    [page(504), 'ServerFailed', true],
    [page(520), 'ServerFailed', true],
    [page(302), 'UnexpectedAnswer', false],
    [problem(410, 'upload-gone'), 'UploadGone', false],
    [problem(404, 'upload-not-found'), 'UploadGone', false],
    [problem(404, 'not-found'), 'Refused', false],
    [problem(409, 'superseded', { retryable: true }), 'Refused', true],
    [problem(429, 'waiting', { retryable: true }), 'NoRoom', true],
    [problem(503, 'no-room', { retryable: true, retry_after: 5 }), 'NoRoom', true],
    [problem(503, 'busy', { retryable: true, retry_after: 5 }), 'ServerFailed', true],
    [problem(507, 'disk-full', { retryable: true, retry_after: 5 }), 'NoRoom', true],
    [problem(507, 'never-fits'), 'NoSpace', false],
    [problem(500, 'hook-failed', { retryable: true, retry_after: 5 }), 'ServerFailed', true],
  ])('has its type (%#)', (answer, name, retryable) => {
    const error = parseError(answer)
    expect(error).toMatchObject({ name, retryable, status: answer.status })
  })

  test('of IIS, which refuses by size with another status', () => {
    const answer = { ...page(404), text: '<h3>HTTP Error 404.13 - Not Found</h3>' }
    expect(parseError(answer)).toMatchObject({ name: 'TooLarge', status: 413 })
  })

  test('says in seconds when to ask again, in the body before the header', () => {
    const inBody = problem(503, 'no-room', { retryable: true, retry_after: 7 })
    inBody.headers['retry-after'] = '9'
    expect(parseError(inBody).retryAfter).toBe(7)
    expect(parseError(page(503, { 'retry-after': '9' })).retryAfter).toBe(9)
    const date = new Date(Date.now() + 30_000).toUTCString()
    expect(parseError(page(503, { 'retry-after': date })).retryAfter).toBeGreaterThan(25)
    expect(parseError(page(503, { 'retry-after': 'soon' })).retryAfter).toBeNull()
    expect(parseError(page(503)).retryAfter).toBeNull()
  })

  test("has the server's words", () => {
    const facts = { detail: 'The content is text.', hint: 'Send a video.', found: 'text' }
    const error = parseError(problem(415, 'type-refused', facts))
    expect(error.message).toBe('The content is text.')
    expect(error.hint).toBe('Send a video.')
    expect(error.facts).toMatchObject({ found: 'text' })
  })
})

describe('an answer', () => {
  test.each(['', '<html>', '[]', 'null', '"a"', '{}', '{"upload_id": 5, "state": "x"}'])(
    "that is not Wherry's is no value: %s",
    (text) => {
      const answer = { status: 200, text, headers: {} }
      expect(() => parseUpload(answer)).toThrow(/does not come from Wherry/)
      expect(() => parseMissing(answer)).toThrow(/does not come from Wherry/)
    },
  )

  test('with a position in the queue is waiting, whatever its state', () => {
    const status = (more: object) =>
      parseUpload(reply(200, { upload_id: 'u', state: 'receiving', ...more }))
    expect(status({ position: null }).isWaiting).toBe(false)
    expect(status({ position: 2 }).isWaiting).toBe(true)
    expect(status({ state: 'waiting', position: null }).isWaiting).toBe(true)
    expect(status({ state: 'complete', position: null }).isWaiting).toBe(false)
  })

  test('is handed on as it came', () => {
    const all = { upload_id: 'u', state: 'complete', assessment_id: 'a', more: [1] }
    expect(parseUpload(reply(200, all)).result).toEqual(all)
  })
})
