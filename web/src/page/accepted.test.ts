import { expect, test } from 'vitest'
import { acceptedSentence, acceptOf, ANYTHING, refusalOf } from './accepted'
import { nameProblem, shownName } from './names'
import { fileOf, MiB } from '../core/testing/upload'

const typed = (type: string) => new File(['x'], 'a', { type })
const only = (...allowed_types: string[]) => ({ max_size: null, allowed_types })

test.each([
  ['video/mp4', 'video/*'],
  ['audio/wav', 'audio/x-wav'],
  ['audio/x-flac', 'audio/flac'],
  ['', 'video/*'], // The browser does not know it: the server looks.
  ['video/mp4', 'video/mp[45]'],
])('a file of type “%s” is not refused where %s is accepted', (type, allowed) => {
  expect(refusalOf(typed(type), only(allowed))).toBeNull()
})

test.each([
  ['application/zip', 'video/*'],
  ['video/mp4', 'audio/*'],
  ['video/mp4x', 'video/mp4'],
])('a file of type “%s” is refused where only %s is accepted, but not for ever', (type, allowed) => {
  expect(refusalOf(typed(type), only('image/png', allowed))).toMatchObject({
    isFinal: false,
    safe: 'Nothing was sent.',
  })
})

test('a file of exactly the largest size is taken', () => {
  const limits = { max_size: MiB, allowed_types: [] }
  expect(refusalOf(fileOf('a', MiB), limits)).toBeNull()
  expect(refusalOf(fileOf('a', MiB + 1), limits)).toMatchObject({ isFinal: true })
})

test('where all is accepted, nothing is said', () => {
  expect(acceptedSentence(ANYTHING)).toBe('')
  expect(acceptOf(ANYTHING)).toBeUndefined()
  expect(acceptOf(only('video/*', 'audio/f?ac'))).toBeUndefined()
})

test('names are shown with what steers them, and refused as the server does', () => {
  expect(shownName('a\u2066b\u2069\n.mp4')).toBe('a‹U+2066›b‹U+2069›‹U+000A›.mp4')
  expect(shownName('עברית 👩‍👧.mp4')).toBe('עברית 👩‍👧.mp4')
  expect(nameProblem('עברית 👩‍👧.mp4')).toBeNull()
  expect(nameProblem('a\u200eb')).toBeNull()
  for (const bad of ['a\u202eb', 'a\tb', 'a\\b', 'a'.repeat(256)]) expect(nameProblem(bad)).not.toBeNull()
})
